import { describe, expect, test } from 'vitest';
import { slackchatMapping } from '../../src/mapping.js';
import { filterFaults, isSameFilter, rowFilter } from '../../src/setup/row-filter.js';
import { isFirst, laneSql, parseShard, shardName, shardOfName, shardsOf, shareOf } from '../../src/shard.js';
import { catalogOf, columnFacts, tableFacts } from './facts.js';

describe('SHARD', () => {
  test('counts from 1 or from 0, and each way gives every shard once', () => {
    for (const count of [2, 3, 64]) {
      const indices = (first: number): number[] => Array.from({ length: count }, (_item, index) => parseShard(`${index + first}/${count}`)?.index ?? -1).sort((a, b) => a - b);
      expect(indices(1)).toEqual(indices(0));
      expect(new Set(indices(0)).size).toBe(count);
    }
    expect(parseShard('0/3')).toEqual({ index: 3, count: 3 });
    expect(parseShard('2/3')).toEqual({ index: 2, count: 3 });
  });

  test('of one is none', () => {
    expect([parseShard('1/1'), parseShard('0/1')]).toEqual([null, null]);
  });

  test.each(['', '1', '/', '1/', '/2', '3/2', '0/0', '1/0', '-1/2', '1/2/3', '1 / 2', '1.0/2', '1/65', '100/200', '1of2', 'a/b', '１/２'])('is not %j', (text) => {
    expect(parseShard(text)).toBeUndefined();
  });

  test('gives slots names that are told from others, and back', () => {
    for (const shard of [...shardsOf(1), ...shardsOf(3), ...shardsOf(64)]) expect(shardOfName('base', shardName('base', shard))).toEqual(shard);
    for (const name of ['base_', 'base_1', 'base_1_of_1', 'base_0_of_3', 'base_4_of_3', 'base_01_of_3', 'base_1_of_3_old', 'base_1_of_65', 'bases', 'other', 'xbase_1_of_2']) expect(shardOfName('base', name)).toBeUndefined();
  });

  test('has one that is the first, which does what is no message\'s', () => {
    for (const count of [1, 2, 5]) expect(shardsOf(count).filter(isFirst).length).toBe(1);
  });

  test('shares a limit out without going beyond it, but for one each', () => {
    for (const [count, total] of [[1, 64], [3, 64], [3, 3], [5, 1024], [64, 64]] as const) {
      const shares = shardsOf(count).map((shard) => shareOf(shard, total));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(total);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
    expect(shardsOf(4).map((shard) => shareOf(shard, 2))).toEqual([1, 1, 1, 1]);
  });
});

describe('the rows of a shard', () => {
  const tables = [...slackchatMapping('public', 'slackchat_', true).values()];
  const filters = (shard: Parameters<typeof rowFilter>[1]): (string | null)[] => tables.map((table) => rowFilter(table, shard, catalogOf(tables)));

  test('are some of the messages and of what belongs to them, and all of everything else', () => {
    expect(new Map(tables.map((table, index) => [table.entity, filters({ index: 2, count: 3 })[index]]))).toEqual(
      new Map([
        ['message', '(mod((hashint8(("id")::bigint) & 2147483647), 3) = 1)'],
        ...['reaction', 'attachment', 'kwarg'].map((entity) => [entity, '(mod((hashint8(("message_id")::bigint) & 2147483647), 3) = 1)'] as const),
        ...['user', 'channel', 'chatType', 'argument', 'template', 'appWebhook'].map((entity) => [entity, null] as const),
      ]),
    );
    expect(new Set(filters(null))).toEqual(new Set([null]));
  });

  test('are known again in the words of the server, which quotes what needs it, and no others are', () => {
    const wanted = '(mod((hashint8(("id")::bigint) & 2147483647), 3) = 1)';
    for (const same of ['(mod((hashint8((id)::bigint) & 2147483647), 3) = 1)', '(pg_catalog.mod((pg_catalog.hashint8((id)::bigint) & 2147483647), 3) = 1)']) expect(isSameFilter(same, wanted)).toBe(true);
    for (const other of [null, '(mod((hashint8((id)::bigint) & 2147483647), 3) = 2)', '(mod((hashint8((id)::bigint) & 2147483647), 2) = 1)', '(id > 5)', '(mod(hashint8((id)::bigint) & 2147483647, 3) = 1)'])
      expect(isSameFilter(other, wanted)).toBe(false);
    expect(isSameFilter(null, null)).toBe(true);
  });

  test('cannot be told by a key whose type is not built in', () => {
    expect(filterFaults(tables, catalogOf(tables))).toEqual([]);
    const catalog = new Map(catalogOf(tables));
    for (const table of tables) {
      if (table.entity === 'reaction') catalog.set('reaction', tableFacts(table, { columns: new Map([['message_id', columnFacts('bigint', { declared: 'app.message_key' })]]) }));
      if (table.entity === 'kwarg') catalog.set('kwarg', tableFacts(table, { columns: new Map([['message_id', columnFacts('character varying', { declared: 'character varying(36)' })]]) }));
    }
    expect(filterFaults(tables, catalog)).toEqual([expect.stringMatching(/public\.slackchat_reaction\.message_id.*app\.message_key/u)]);
  });

  test('are those of its lanes too; lanes of channels are the first one\'s', () => {
    expect(laneSql(null, 'bigint', 'lane')).toBe('true');
    expect(laneSql({ index: 1, count: 2 }, 'uuid', 'd.lane')).toBe("CASE WHEN starts_with(d.lane, 'message:') THEN (mod((uuid_hash(substr(d.lane, 9)::uuid) & 2147483647), 2) = 0) ELSE true END");
    expect(laneSql({ index: 2, count: 2 }, 'text', 'lane')).toContain('ELSE false END');
  });
});
