import { expect, onTestFinished, test } from 'vitest';
import { isSameFilter } from '../../src/setup/row-filter.js';
import { laneSql, shardSql, shardsOf } from '../../src/shard.js';
import { createDatabase } from '../support/database.js';

const KEYS = {
  smallint: ['-32768', '-1', '0', '1', '2', '32767'],
  integer: ['-2147483648', '-1', '0', '1', '2', '3', '4', '5', '6', '7', '2147483647'],
  bigint: ['-9223372036854775808', '-1', '0', '1', '2', '3', '5', '8', '9223372036854775807'],
  uuid: ['00000000-0000-4000-8000-000000000000', '0f8fad5b-d9cb-469f-a165-70867728950e', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '7d444840-9dc0-11d1-b245-5ffdce74fad2'],
  text: ['', 'a', 'message:1', 'ü', 'a long one with "quotes" and spaces'],
  'character varying': ['', 'a', 'b', 'CASE'],
} as const;

test.each(Object.entries(KEYS))('keys of type %s: the server takes the filters, says them in the same words, and gives each row to one shard; a lane follows its message', async (type, keys) => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.query(`CREATE TABLE "Odd table" ("the key" ${type} PRIMARY KEY)`);
  await db.query(`INSERT INTO "Odd table" SELECT * FROM unnest($1::${type}[])`, [keys]);
  for (const count of [2, 3, 7]) {
    const owners = new Map<string, number[]>();
    for (const shard of shardsOf(count)) {
      if (shard === null) continue;
      const filter = shardSql(shard, type, '"the key"');
      await db.query(`DROP PUBLICATION IF EXISTS p; CREATE PUBLICATION p FOR TABLE "Odd table" WHERE ${filter}`);
      const [found] = await db.query<{ filter: string }>("SELECT rowfilter AS filter FROM pg_publication_tables WHERE pubname = 'p'");
      expect(isSameFilter(found?.filter ?? null, filter)).toBe(true);
      const rows = await db.query<{ key: string; mine: boolean; lane: boolean; channel: boolean }>(
        `SELECT "the key"::text AS key, ${filter} AS mine, ${laneSql(shard, type, `('message:' || "the key"::text)`)} AS lane, ${laneSql(shard, type, `('channel:' || "the key"::text)`)} AS channel FROM "Odd table"`,
      );
      for (const { key, mine, lane, channel } of rows) {
        expect({ key, lane, channel }).toEqual({ key, lane: mine, channel: shard.index === 1 });
        if (mine) owners.set(key, [...(owners.get(key) ?? []), shard.index]);
      }
    }
    expect([...owners.values()].every((list) => list.length === 1)).toBe(true);
    expect([...owners.keys()].sort()).toEqual([...keys].sort());
  }
});
