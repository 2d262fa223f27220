import { describe, expect, test } from 'vitest';
import { PreconditionError } from '../../src/errors.js';
import { slackchatMapping, type TableMapping } from '../../src/mapping.js';
import { identityIsSufficient, type DatabaseState, type TableState } from '../../src/setup/inspect.js';
import { namesWith, type Names } from '../../src/setup/names.js';
import { planGrants, planSetup, planTeardown, requireReady } from '../../src/setup/plan.js';
import { functionsDigest } from '../../src/setup/scripts.js';
import { createSlotSql } from '../../src/setup/statements.js';
import { allTables, complete, fresh, names, order, scripts, slot, sql, tables, tableState } from './database-state.js';
import { catalogOf, withoutColumns } from './facts.js';

describe('the plan', () => {
  test('of a fresh database makes everything, in an order that works', () => {
    const text = sql(planSetup(fresh(), names));
    const places = order(
      text,
      'CREATE SCHEMA IF NOT EXISTS slackchat_bridge',
      'migrations (',
      'slackchat_bridge.one',
      'slackchat_bridge.two',
      'CREATE OR REPLACE FUNCTION',
      'REPLICA IDENTITY FULL',
      'CREATE PUBLICATION "the_publication"',
      "pg_create_logical_replication_slot('the_slot'",
    );
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    for (const { entity, table } of tables) {
      // of a deleted template nothing but its id is needed, and the primary key shows that
      expect(text.includes(`ALTER TABLE "public"."${table}" REPLICA IDENTITY FULL`)).toBe(entity !== 'template');
      expect(text.slice(text.indexOf('CREATE PUBLICATION'))).toContain(`"public"."${table}"`);
    }
    expect(text).toContain("INSERT INTO slackchat_bridge.migrations (version, name) VALUES (1, '0001_one')");
    expect(text).toContain("VALUES ('slot', 'the_slot')");
  });

  test('of a complete one is empty, and the bridge may start', () => {
    expect(planSetup(complete(), names)).toEqual([]);
    expect(() => requireReady(complete(), names)).not.toThrow();
  });

  test('makes the slot in a step of its own, because a transaction that has written cannot', () => {
    const step = planSetup(fresh(), names).find((one) => one.sql.some((statement) => statement.includes('pg_create_logical_replication_slot')));
    expect(step?.sql.length).toBe(1);
  });

  test('applies only the migrations that are missing, and functions whenever they changed', () => {
    const text = sql(planSetup(complete({ applied: [1] }), names));
    expect(text).toContain('slackchat_bridge.two');
    expect(text).not.toContain('slackchat_bridge.one');
    const changed = planSetup(complete({ functionsDigest: 'another' }), names);
    expect(changed.length).toBe(1);
    expect(sql(changed)).toContain('CREATE OR REPLACE FUNCTION');
    expect(sql(changed)).toContain(functionsDigest(scripts, tables));
    expect(
      functionsDigest(
        scripts.map((script) => ({ ...script, sql: `${script.sql} ` })),
        tables,
      ),
    ).not.toBe(functionsDigest(scripts, tables));
  });

  test("names the application's tables in the functions as the configuration does, and applies them again when that changes", () => {
    const other = [...slackchatMapping('chat', 'app_').values()];
    expect(sql(planSetup(fresh(), names))).toContain('"id" FROM "public"."slackchat_channel"');
    const state = fresh({ tables: new Map(other.map((table) => [table.entity, tableState(table)])), catalog: catalogOf(other) });
    expect(sql(planSetup(state, { ...names, tables: other }))).toContain('"id" FROM "chat"."app_channel"');
    expect(functionsDigest(scripts, other)).not.toBe(functionsDigest(scripts, tables));
  });

  test('adds to a publication what it lacks, and nothing twice', () => {
    const published = new Set(['slackchat_bridge.webhooks', 'public.other', ...tables.slice(1).map((table) => `public.${table.table}`)]);
    const text = sql(planSetup(complete({ published }), names));
    expect(text).toBe('ALTER PUBLICATION "the_publication" ADD TABLE\n  "public"."slackchat_message"');
  });

  test('replaces a slot that is lost, and makes none where there is one', () => {
    const text = sql(planSetup(complete({ slot: { ...slot, walStatus: 'lost' } }), names));
    expect(order(text, "pg_drop_replication_slot('the_slot')", "pg_create_logical_replication_slot('the_slot'")).toEqual([
      expect.any(Number),
      expect.any(Number),
    ]);
    expect(text.indexOf('pg_drop')).toBeLessThan(text.indexOf('pg_create'));
    expect(text).toContain('pg_drop');
    for (const walStatus of ['reserved', 'extended', 'unreserved']) expect(planSetup(complete({ slot: { ...slot, walStatus } }), names)).toEqual([]);
    expect(sql(planSetup(complete({ slot: null }), names))).not.toContain('pg_drop');
  });

  test('asks for a failover slot where the server has them', () => {
    expect(createSlotSql({ serverVersion: 170_000 }, 's')).toBe("SELECT pg_catalog.pg_create_logical_replication_slot('s', 'pgoutput', failover => true)");
    expect(createSlotSql({ serverVersion: 160_009 }, 's')).toBe("SELECT pg_catalog.pg_create_logical_replication_slot('s', 'pgoutput')");
  });

  test('quotes whatever the names are', () => {
    const odd: Names = namesWith({ slot: "it's", publication: 'a "b"' }, [...slackchatMapping('My "schema"', "o'").values()], null);
    const state = fresh({ tables: new Map(odd.tables.map((table) => [table.entity, tableState(table)])) });
    const text = sql(planSetup(state, odd));
    for (const part of [
      `ALTER TABLE "My ""schema"""."o'message" REPLICA IDENTITY FULL`,
      'CREATE PUBLICATION "a ""b"""',
      "'it''s', 'pgoutput'",
      `'replica identity of "My ""schema"""."o''message"'`,
    ])
      expect(text).toContain(part);
  });
});

describe('the replica identity', () => {
  const [messageTable] = tables;
  if (messageTable === undefined) throw new Error('there is no message table');
  const covered = ['channel_id', 'user_id', 'id', 'text', 'timestamp'];
  const sufficient = (table: TableMapping, over: Partial<TableState>): boolean =>
    identityIsSufficient(table, { tables: new Map([[table.entity, tableState(table, over)]]), catalog: catalogOf([table]) });
  const of = (over: Partial<TableState>): boolean => sufficient(messageTable, over);

  test('is enough when it is full, or an index that covers what a deleted row must show', () => {
    expect(of({ replicaIdentity: 'f', identityColumns: [] })).toBe(true);
    expect(of({ replicaIdentity: 'i', identityIndex: 'i', identityColumns: covered })).toBe(true);
    for (const missing of covered)
      expect(of({ replicaIdentity: 'i', identityIndex: 'i', identityColumns: covered.filter((column) => column !== missing) })).toBe(false);
    expect(of({ replicaIdentity: 'd', identityColumns: ['id'] })).toBe(false);
    expect(of({ replicaIdentity: 'n', identityColumns: [] })).toBe(false);
  });

  test('counts by the real names of the columns', () => {
    const renamed: TableMapping = { ...messageTable, columns: { ...messageTable.columns, text: 'body' } };
    expect(sufficient(renamed, { replicaIdentity: 'i', identityIndex: 'i', identityColumns: covered })).toBe(false);
    expect(sufficient(renamed, { replicaIdentity: 'i', identityIndex: 'i', identityColumns: [...covered, 'body'] })).toBe(true);
  });

  const withMessage = (over: Partial<TableState>): DatabaseState =>
    complete({ tables: new Map([...complete().tables, ['message', tableState(messageTable, over)]]) });

  test('is left alone where it is enough', () => {
    expect(planSetup(withMessage({ replicaIdentity: 'i', identityIndex: 'i', identityColumns: covered }), names)).toEqual([]);
  });

  test.each([
    [{ replicaIdentity: 'd' as const }, 'DEFAULT'],
    [{ replicaIdentity: 'n' as const, identityColumns: [] }, 'NOTHING'],
    [{ replicaIdentity: 'i' as const, identityIndex: 'my "index"' }, 'USING INDEX "my ""index"""'],
  ])('as it was (%j) is noted before it is changed, only the first time, and put back by the teardown', (over, clause) => {
    const steps = planSetup(withMessage(over), names);
    expect(steps.length).toBe(1);
    const [note, change] = steps[0]?.sql ?? [];
    expect(note).toContain(`VALUES ('replica identity of public.slackchat_message', '${clause}')`);
    expect(note).toContain('ON CONFLICT (key) DO NOTHING');
    expect(change).toBe('ALTER TABLE "public"."slackchat_message" REPLICA IDENTITY FULL');

    const after = complete({
      meta: new Map([
        ['slot', 'the_slot'],
        ['replica identity of public.slackchat_message', clause],
      ]),
    });
    const back = sql(planTeardown(after, names));
    expect(back).toContain(`ALTER TABLE "public"."slackchat_message" REPLICA IDENTITY ${clause}`);
    expect(back.match(/REPLICA IDENTITY/gu)?.length).toBe(1);
  });
});

describe('the teardown', () => {
  test('drops slot, publication and schema, the notes of what was before last', () => {
    const text = sql(planTeardown(complete({ meta: new Map([['replica identity of public.slackchat_user', 'DEFAULT']]) }), names));
    expect(text.split(';\n')).toEqual([
      "SELECT pg_catalog.pg_drop_replication_slot('the_slot')",
      'DROP PUBLICATION "the_publication"',
      'ALTER TABLE "public"."slackchat_user" REPLICA IDENTITY DEFAULT',
      'DROP SCHEMA slackchat_bridge CASCADE',
    ]);
  });

  test('leaves an identity alone that somebody else has changed since, or that was full before', () => {
    const meta = new Map([['replica identity of public.slackchat_user', 'DEFAULT']]);
    expect(sql(planTeardown(complete({ meta, tables: allTables({ replicaIdentity: 'n' }) }), names))).not.toContain('REPLICA IDENTITY');
    expect(sql(planTeardown(complete(), names))).not.toContain('REPLICA IDENTITY');
  });

  test('of a database without the bridge is nothing', () => {
    expect(planTeardown(fresh(), names)).toEqual([]);
  });

  test('is refused while the bridge runs', () => {
    const running = complete({ slot: { ...slot, active: true, activePid: 4711 } });
    expect(() => planTeardown(running, names)).toThrow(PreconditionError);
    expect(() => planTeardown(running, names)).toThrow(/the_slot.*4711.*stop the bridge/u);
  });
});

describe('the privileges of the role that runs the bridge', () => {
  test('name it in quotes, and every table, but never the right to write to the chat', () => {
    const { sql: statements, needs } = planGrants('web "app"', names);
    for (const statement of statements) expect(statement.endsWith(' TO "web ""app"""')).toBe(true);
    expect(needs).toContain('ALTER ROLE "web ""app""" REPLICATION');
    for (const { table } of tables)
      expect(statements.filter((statement) => statement.includes(`"${table}"`)).every((statement) => statement.startsWith('GRANT SELECT ON'))).toBe(true);
    expect(statements.join('\n')).toContain('"public"."slackchat_message"');
    expect(statements).toContain('GRANT USAGE ON SCHEMA "public" TO "web ""app"""');
  });
});

function refused(state: DatabaseState, message: RegExp): void {
  expect(() => planSetup(state, names)).toThrow(PreconditionError);
  expect(() => planSetup(state, names)).toThrow(message);
}

describe('setup is refused', () => {
  test('by a server that is too old, or whose wal_level is another, with what to do', () => {
    refused(fresh({ serverVersion: 130_012 }), /PostgreSQL 14.*13/u);
    expect(() => planSetup(fresh({ serverVersion: 140_000 }), names)).not.toThrow();
    refused(fresh({ walLevel: 'replica' }), /wal_level is replica.*ALTER SYSTEM SET wal_level = 'logical'/u);
  });

  test('where tables or columns are missing, naming all of them', () => {
    const without = new Map(catalogOf(tables));
    without.delete('user');
    for (const table of tables) if (table.entity === 'reaction') without.set('reaction', withoutColumns(table, 'argument_id', 'user_id'));
    refused(fresh({ catalog: without }), /public\.slackchat_user does not exist/u);
    refused(fresh({ catalog: without }), /slackchat_reaction\.argument_id[^]*slackchat_reaction\.user_id/u);
    for (const { table } of tables) refused(fresh({ catalog: new Map() }), new RegExp(`public\\.${table} does not exist`, 'u'));
  });

  test('not where an optional column is missing', () => {
    const [messageTable] = tables;
    if (messageTable === undefined) throw new Error('there is no message table');
    expect(planSetup(complete({ catalog: new Map([...catalogOf(tables), ['message', withoutColumns(messageTable, 'serialized')]]) }), names)).toEqual([]);
  });

  test("by a schema that a newer version made, and by a slot that is somebody else's", () => {
    refused(complete({ applied: [1, 2, 3] }), /newer version.*migration 3.*knows 2.*update the bridge/u);
    refused(complete({ slot: { ...slot, plugin: 'wal2json' } }), /the_slot.*wal2json.*SLOT_NAME/u);
    refused(complete({ slot: { ...slot, database: 'other' } }), /the_slot.*other.*SLOT_NAME/u);
  });
});

describe('the bridge does not start', () => {
  test('without a setup, and says what is missing and what to run', () => {
    expect(() => requireReady(fresh(), names)).toThrow(/replication slot "the_slot" does not exist.*the publication.*slackchat-bridge setup/u);
    expect(() => requireReady(complete({ published: null }), names)).toThrow(/missing: the publication\. Run: slackchat-bridge setup/u);
  });

  test('but for a slot that was there once and is lost: about that ON_SLOT_LOST decides', () => {
    expect(() => requireReady(complete({ slot: null }), names)).not.toThrow();
    expect(() => requireReady(complete({ slot: { ...slot, walStatus: 'lost' } }), names)).not.toThrow();
    expect(() => requireReady(complete({ slot: null, published: null }), names)).toThrow(/missing: the publication\./u);
    expect(() => requireReady(complete({ slot: null, meta: new Map([['slot', 'another']]) }), names)).toThrow(/"the_slot" does not exist/u);
  });
});
