import { describe, expect, test } from 'vitest';
import type { DatabaseState } from '../../src/setup/inspect.js';
import { namesWith, type Names } from '../../src/setup/names.js';
import { planSetup, planTeardown, requireReady } from '../../src/setup/plan.js';
import { complete, fresh, names, order, slot, sql, tables } from './database-state.js';

const shared = (index: number, count: number): Names => namesWith({ slot: 'the_slot', publication: 'the_publication' }, tables, { index, count });
const one = shared(1, 2);
const published = complete().published;
/** After a setup for two. */
const ready = (over: Partial<DatabaseState> = {}): DatabaseState => {
  const publication = { publishesAll: true, published, misfiltered: new Set<string>() };
  return complete({
    meta: new Map([['shards', '2'], ['slot the_slot_1_of_2', 'the_slot_1_of_2'], ['slot the_slot_2_of_2', 'the_slot_2_of_2']]),
    publications: new Map([['the_publication_1_of_2', publication], ['the_publication_2_of_2', publication]]),
    slots: new Map([['the_slot_1_of_2', slot], ['the_slot_2_of_2', slot]]),
    ...over,
  });
};
const titles = (state: DatabaseState, of: Names): string[] => planSetup(state, of).map(({ title }) => title);

describe('several instances that share the messages', () => {
  test('are set up all at once, each with a slot and a publication of its rows, whichever of them it is done for', () => {
    const text = sql(planSetup(fresh(), one));
    expect(text).toContain('CREATE PUBLICATION "the_publication_1_of_2" FOR TABLE\n  "public"."slackchat_message" WHERE (mod((hashint8(("id")::bigint) & 2147483647), 2) = 0)');
    expect(text).toContain('CREATE PUBLICATION "the_publication_2_of_2" FOR TABLE\n  "public"."slackchat_message" WHERE (mod((hashint8(("id")::bigint) & 2147483647), 2) = 1)');
    const places = order(text, 'CREATE PUBLICATION "the_publication_2_of_2"', "logical_replication_slot('the_slot_1_of_2'", "logical_replication_slot('the_slot_2_of_2'", "VALUES ('shards', '2')");
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(sql(planSetup(fresh(), shared(2, 2)))).toBe(text);
    expect(planSetup(ready(), one)).toEqual([]);
    expect(() => requireReady(ready(), shared(2, 2))).not.toThrow();
  });

  test('need a server that can publish some of the rows, and endpoints that do not ask for the order of a channel', () => {
    expect(() => planSetup(fresh({ serverVersion: 140_010 }), one)).toThrow(/SHARD needs PostgreSQL 15 or newer.*the server is 14/u);
    expect(() => planSetup(fresh({ serverVersion: 150_000 }), one)).not.toThrow();
    expect(() => planSetup(complete({ channelOrdered: ['3', '5'] }), one)).toThrow(/webhooks 3, 5.*ordering = 'channel'.*UPDATE slackchat_bridge\.webhooks SET ordering = 'message'/u);
  });

  test('do not start while one of their slots or publications was never made', () => {
    const lacking = ready({ slots: new Map([['the_slot_1_of_2', slot]]), meta: new Map([['shards', '2'], ['slot the_slot_1_of_2', 'the_slot_1_of_2']]) });
    expect(() => requireReady(lacking, one)).toThrow(/the_slot_2_of_2.*slackchat-bridge setup/u);
    expect(() => requireReady(ready({ publications: new Map([...ready().publications].slice(0, 1)) }), one)).toThrow(/the_publication_2_of_2/u);
  });

  test('start when one of their slots is lost: about that ON_SLOT_LOST decides, and setup notes for that one that everything is to be announced', () => {
    const lost = ready({ slots: new Map([['the_slot_1_of_2', slot]]) });
    expect(() => requireReady(lost, one)).not.toThrow();
    expect(sql(planSetup(lost, one))).toContain("VALUES ('resync pending the_slot_2_of_2'");
  });

  test('have rows put right that are not those of the shard', () => {
    const lacking = new Set([...(published ?? [])].filter((table) => table !== 'public.slackchat_message'));
    const text = sql(planSetup(ready({ published: lacking, misfiltered: new Set(['public.slackchat_message']) }), one));
    expect(text).toBe(
      'ALTER PUBLICATION "the_publication_1_of_2" DROP TABLE "public"."slackchat_message";\n' +
        'ALTER PUBLICATION "the_publication_1_of_2" ADD TABLE\n  "public"."slackchat_message" WHERE (mod((hashint8(("id")::bigint) & 2147483647), 2) = 0)',
    );
  });

  test('are made ready beside those in force, which go on', () => {
    expect(titles(complete({ slot: null, published: null }), one)).toEqual([
      'the publication the_publication_1_of_2', 'the publication the_publication_2_of_2',
      'the replication slot the_slot_1_of_2', 'a note that the replication slot the_slot_1_of_2 was made', 'the replication slot the_slot_2_of_2', 'a note that the replication slot the_slot_2_of_2 was made',
      'a note that 2 shards are to share the messages',
    ]);
    const next = ready({ meta: new Map([...ready().meta, ['slot', 'the_slot'], ['shards', '1'], ['shards next', '2']]), slots: new Map([...ready().slots, ['the_slot', slot]]) });
    expect(planSetup(next, one)).toEqual([]);
    expect(() => requireReady(next, one)).not.toThrow();
    expect(() => requireReady(next, names)).not.toThrow();
  });

  test('that were made ready and are not wanted after all go, and so does what is left of those before', () => {
    const next = ready({ meta: new Map([...ready().meta, ['slot', 'the_slot'], ['shards', '1'], ['shards next', '2']]) });
    expect(planSetup(next, names).map(({ sql: [statement] }) => statement)).toEqual([
      "DELETE FROM slackchat_bridge.meta WHERE key = 'shards next'",
      "SELECT pg_catalog.pg_drop_replication_slot('the_slot_1_of_2')", "SELECT pg_catalog.pg_drop_replication_slot('the_slot_2_of_2')",
      'DROP PUBLICATION "the_publication_1_of_2"', 'DROP PUBLICATION "the_publication_2_of_2"',
    ]);
    const changing = ready({ meta: new Map([...ready().meta, ['shards before', '3']]), publications: new Map([...ready().publications, ['the_publication_3_of_3', ready()]]) });
    expect(planSetup(changing, one)).toEqual([]);
  });

  test('of another number have nothing to do, and are told what to do', () => {
    expect(() => requireReady(ready(), shared(1, 3))).toThrow(/SHARD 1\/3.*2 shards.*SHARD=1\/3 slackchat-bridge setup/u);
    expect(() => requireReady(ready(), names)).toThrow(/without SHARD.*2 shards/u);
    expect(() => requireReady(complete(), one)).toThrow(/SHARD 1\/2.*one instance/u);
  });

  test('are torn down all at once, and not while one of them runs', () => {
    const text = sql(planTeardown(ready({ slot: null, published: null }), names));
    for (const part of ["drop_replication_slot('the_slot_1_of_2')", "drop_replication_slot('the_slot_2_of_2')", 'DROP PUBLICATION "the_publication_2_of_2"', 'DROP SCHEMA']) expect(text).toContain(part);
    const running = ready({ slots: new Map([...ready().slots, ['the_slot_2_of_2', { ...slot, active: true, activePid: 4711 }]]) });
    expect(() => planTeardown(running, one)).toThrow(/the_slot_2_of_2.*4711.*stop the bridge/u);
  });
});
