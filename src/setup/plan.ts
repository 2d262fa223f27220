import { refuseMisfit } from '../catalog.js';
import { PreconditionError } from '../errors.js';
import { qualifiedName, quoteIdent, tableName, type TableMapping } from '../mapping.js';
import { identityIsSufficient, NO_PUBLICATION, type DatabaseState } from './inspect.js';
import { allOf, countOf, type Names } from './names.js';
import { planLayout, refuseLayout } from './layout.js';
import { filterFaults, rowFilter } from './row-filter.js';
import { functionsDigest, withNames } from './scripts.js';
import { createSlotSql, dropLostSlotSql, dropSlotSql, literal, noteResyncSql, remember, rememberSlotSql, slotWasMade, type Step } from './statements.js';

const OWNER = 'owner of the table';
const FUNCTIONS = 'functions for control by SQL';
const SCHEMA_OWNER = 'owner of the schema slackchat_bridge';

/**
 * What is missing, as SQL; nothing where everything is there. Pure.
 * @throws {PreconditionError} when the database cannot become fit by SQL alone
 */
export function planSetup(state: DatabaseState, names: Names): Step[] {
  refuseUnfit(state, names);
  const steps: Step[] = [];
  const migrations = state.scripts.filter((script) => script.kind === 'migration' && !state.applied.includes(script.version));
  if (migrations.length > 0) {
    steps.push({
      title: 'the bridge\'s own schema',
      needs: 'CREATE on the database',
      sql: [
        'CREATE SCHEMA IF NOT EXISTS slackchat_bridge',
        `CREATE TABLE IF NOT EXISTS slackchat_bridge.migrations (\n  version integer PRIMARY KEY,\n  name text NOT NULL,\n  applied_at timestamptz NOT NULL DEFAULT now()\n)`,
        ...migrations.flatMap(({ version, name, sql }) => [
          sql,
          `INSERT INTO slackchat_bridge.migrations (version, name) VALUES (${version}, ${literal(name)})`,
        ]),
      ],
    });
  }
  const digest = functionsDigest(state.scripts, names.tables);
  if (state.functionsDigest !== digest) {
    steps.push({
      title: FUNCTIONS,
      needs: 'owner of the schema slackchat_bridge',
      sql: [...state.scripts.filter((script) => script.kind === 'functions').map((script) => withNames(script.sql, names.tables)), remember('functions', digest)],
    });
  }
  for (const table of names.tables) {
    const found = state.tables.get(table.entity);
    if (found === undefined || identityIsSufficient(table, state)) continue;
    const key = identityKey(table);
    steps.push({
      title: `deletes of ${tableName(table)} show the old row (REPLICA IDENTITY FULL)`,
      needs: OWNER,
      sql: [
        // Only the first time: what setup itself has set is not what was there before.
        `INSERT INTO slackchat_bridge.meta (key, value) VALUES (${literal(key)}, ${literal(identityClause(found.replicaIdentity, found.identityIndex))})\n  ON CONFLICT (key) DO NOTHING`,
        `ALTER TABLE ${qualifiedName(table)} REPLICA IDENTITY FULL`,
      ],
    });
  }
  // Publications first: a slot shows only what came after both.
  const streams = allOf(names, countOf(names)).map((one) => ({ of: viewOf(state, names, one), names: one }));
  steps.push(...streams.flatMap((one) => planPublication(one.of, one.names)), ...streams.flatMap((one) => planSlot(one.of, one.names)), ...planLayout(state, names));
  return steps;
}

/**
 * What the bridge needs before it starts. A slot that was there once and is missing now is no fault
 * here: ON_SLOT_LOST decides about it.
 * @throws {PreconditionError} saying what is missing
 */
export function requireReady(state: DatabaseState, names: Names): void {
  refuseLayout(state, names);
  const missing = planSetup(state, names)
    // Older functions still do what this version asks of them.
    .filter((step) => step.title !== FUNCTIONS && step.lost !== true && step.tidying !== true)
    .map(({ title }) => title);
  if (missing.length === 0) return;
  const slot = state.slot === null && !slotWasMade(state, names) ? `replication slot "${names.slot}" does not exist; ` : '';
  throw new PreconditionError(`the database is not set up for the bridge: ${slot}missing: ${missing.join(', ')}. Run: slackchat-bridge setup`);
}

/**
 * Why the stream would not show every change: someone altered the publication, a table or its
 * replica identity. The server says nothing of it.
 */
export function missingFromStream(state: DatabaseState, names: Names): readonly string[] {
  if (state.published === null) return [`publication "${names.publication}" does not exist`];
  const faults = state.publishesAll ? [] : [`publication "${names.publication}" does not publish every kind of change`];
  for (const table of names.tables) {
    const name = tableName(table);
    if (state.misfiltered.has(name)) faults.push(`publication "${names.publication}" has other rows of ${name} than it must have`);
    else if (!state.published.has(name)) faults.push(`${name} is not in publication "${names.publication}"`);
    else if (!identityIsSufficient(table, state)) faults.push(`the replica identity of ${name} no longer shows deleted rows`);
  }
  return faults;
}

/** Undoes all of it. The bridge must not be running. */
export function planTeardown(state: DatabaseState, names: Names): readonly Step[] {
  // Of every shard, whatever SHARD says: what they have in common goes too.
  const slots = new Map([...state.slots].filter(([, { database }]) => database === state.database));
  if (state.slot !== null) slots.set(names.slot, state.slot);
  for (const [name, { active, activePid }] of slots) {
    if (active) throw new PreconditionError(`replication slot "${name}" is in use (backend ${activePid}): stop the bridge first`);
  }
  const publications = new Set([...(state.published === null ? [] : [names.publication]), ...state.publications.keys()]);
  const steps: Step[] = [
    ...[...slots.keys()].map((name) => ({ title: called('the replication slot', name, names.base.slot), needs: 'REPLICATION', sql: [dropSlotSql(name)] })),
    // Before the replica identities: while a publication filters by a column that is not in one, the server refuses updates.
    ...[...publications].map((name) => ({ title: called('the publication', name, names.base.publication), needs: 'owner of the publication', sql: [`DROP PUBLICATION ${quoteIdent(name)}`] })),
  ];
  for (const table of names.tables) {
    const before = state.meta.get(identityKey(table));
    const now = state.tables.get(table.entity)?.replicaIdentity;
    if (before === undefined || now !== 'f') continue;
    steps.push({
      title: `replica identity of ${tableName(table)} as it was`,
      needs: OWNER,
      sql: [`ALTER TABLE ${qualifiedName(table)} REPLICA IDENTITY ${before}`],
    });
  }
  if (state.schemaExists) {
    steps.push({ title: 'the bridge\'s own schema', needs: 'owner of the schema slackchat_bridge', sql: ['DROP SCHEMA slackchat_bridge CASCADE'] });
  }
  return steps;
}

/** What a role needs that only runs the bridge. REPLICATION is an attribute that only an administrator can give. */
export function planGrants(role: string, names: Names): Step {
  const to = quoteIdent(role);
  const app = names.tables.find(({ entity }) => entity === 'appWebhook');
  const schemas = [...new Set(names.tables.map((table) => table.schema))];
  return {
    title: `privileges of ${role}, the role that runs the bridge`,
    needs: `owner of the tables; beside it an administrator runs once: ALTER ROLE ${to} REPLICATION`,
    sql: [
      ...schemas.map((schema) => `GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${to}`),
      `GRANT SELECT ON ${names.tables.map(qualifiedName).join(', ')} TO ${to}`,
      `GRANT USAGE ON SCHEMA slackchat_bridge TO ${to}`,
      `GRANT SELECT ON ALL TABLES IN SCHEMA slackchat_bridge TO ${to}`,
      ...(app === undefined ? [] : [`GRANT UPDATE (${quoteIdent(app.columns['verified'] ?? 'verified')}) ON ${qualifiedName(app)} TO ${to}`]),
      `GRANT INSERT, UPDATE, DELETE ON slackchat_bridge.webhooks TO ${to}`,
      `GRANT INSERT, UPDATE, DELETE ON slackchat_bridge.deliveries TO ${to}`,
      `GRANT INSERT, UPDATE, DELETE ON slackchat_bridge.meta TO ${to}`,
      `GRANT INSERT, UPDATE, DELETE ON slackchat_bridge.complete_since TO ${to}`,
      `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA slackchat_bridge TO ${to}`,
    ],
  };
}

/** The state as another shard sees it. */
function viewOf(state: DatabaseState, own: Names, names: Names): DatabaseState {
  if (names.slot === own.slot) return state;
  return { ...state, ...(state.publications.get(names.publication) ?? NO_PUBLICATION), slot: state.slots.get(names.slot) ?? null };
}

function called(what: string, name: string, base: string): string {
  return name === base ? what : `${what} ${name}`;
}

function planPublication(state: DatabaseState, names: Names): readonly Step[] {
  const title = called('the publication', names.publication, names.base.publication);
  const wanted = [...names.tables.map((table) => ({ name: tableName(table), sql: qualifiedName(table), filter: rowFilter(table, names.shard, state.catalog) })), OWN_WEBHOOKS];
  const missing = wanted.filter(({ name }) => state.published?.has(name) !== true);
  const wrong = wanted.filter(({ name }) => state.misfiltered.has(name));
  const name = quoteIdent(names.publication);
  const publish: Step[] =
    state.published === null || state.publishesAll
      ? []
      : [{ title: `${title} publishes everything`, needs: 'owner of the publication', sql: [`ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate')`] }];
  if (missing.length === 0) return publish;
  const list = missing.map(({ sql, filter }) => (filter === null ? sql : `${sql} WHERE ${filter}`)).join(',\n  ');
  const sql = [
    ...(wrong.length === 0 ? [] : [`ALTER PUBLICATION ${name} DROP TABLE ${wrong.map((table) => table.sql).join(', ')}`]),
    state.published === null ? `CREATE PUBLICATION ${name} FOR TABLE\n  ${list}` : `ALTER PUBLICATION ${name} ADD TABLE\n  ${list}`,
  ];
  return [...publish, { title, needs: `CREATE on the database and ${OWNER}s`, sql }];
}

const OWN_WEBHOOKS = { name: 'slackchat_bridge.webhooks', sql: 'slackchat_bridge.webhooks', filter: null };

function planSlot(state: DatabaseState, names: Names): readonly Step[] {
  const title = called('the replication slot', names.slot, names.base.slot);
  const steps: Step[] = [];
  const wasMade = slotWasMade(state, names);
  const lost = state.slot?.walStatus === 'lost';
  if (wasMade && (state.slot === null || lost)) {
    // What was committed in between is in no slot, so every endpoint has to hear of every channel.
    steps.push({ title: `a note that every channel is to be announced, because ${title} was lost`, needs: SCHEMA_OWNER, sql: [noteResyncSql(names)], lost: true });
  }
  if (lost) {
    steps.push({ title: `${title}, which is lost, goes`, needs: 'REPLICATION', sql: [dropLostSlotSql(names.slot)], lost: wasMade });
  }
  if (state.slot === null || lost) {
    // A slot cannot be made in a transaction that has written, so it stands by itself.
    steps.push({ title, needs: 'REPLICATION', sql: [createSlotSql(state, names.slot)], lost: wasMade });
  }
  if (!wasMade) {
    steps.push({ title: `a note that ${title} was made`, needs: SCHEMA_OWNER, sql: [rememberSlotSql(names)] });
  }
  return steps;
}

function refuseUnfit(state: DatabaseState, names: Names): void {
  if (state.serverVersion < 140_000) {
    throw new PreconditionError(`PostgreSQL 14 or newer is needed; the server is ${Math.floor(state.serverVersion / 10_000)}`);
  }
  if (names.shard !== null && state.serverVersion < 150_000) {
    throw new PreconditionError(`SHARD needs PostgreSQL 15 or newer, whose publications can have some of the rows; the server is ${Math.floor(state.serverVersion / 10_000)}`);
  }
  requireWalLevel(state);
  const known = Math.max(...state.scripts.map((script) => script.version));
  const newest = Math.max(0, ...state.applied);
  if (newest > known) {
    throw new PreconditionError(`the schema slackchat_bridge was made by a newer version of the bridge (migration ${newest}, this one knows ${known}): update the bridge`);
  }
  refuseMisfit(names.tables, state.catalog);
  const unfiltered = names.shard === null ? [] : filterFaults(names.tables, state.catalog);
  if (unfiltered.length > 0) throw new PreconditionError(`SHARD cannot be used with this database:\n  ${unfiltered.join('\n  ')}`);
  for (const one of allOf(names, countOf(names))) {
    const { slot } = viewOf(state, names, one);
    if (slot === null || (slot.plugin === 'pgoutput' && slot.database === state.database)) continue;
    throw new PreconditionError(`replication slot "${one.slot}" belongs to something else (plugin ${slot.plugin}, database ${slot.database}): choose another SLOT_NAME`);
  }
}

export function requireWalLevel(state: Pick<DatabaseState, 'walLevel'>): void {
  if (state.walLevel === 'logical') return;
  throw new PreconditionError(
    `wal_level is ${state.walLevel}, but logical replication needs 'logical': run ALTER SYSTEM SET wal_level = 'logical' and restart the server ` +
      '(managed services have a setting for it, see docs/postgresql.md)',
  );
}

function identityKey(table: TableMapping): string {
  return `replica identity of ${tableName(table)}`;
}

function identityClause(identity: string | null, index: string | null): string {
  if (identity === 'n') return 'NOTHING';
  return identity === 'i' && index !== null ? `USING INDEX ${quoteIdent(index)}` : 'DEFAULT';
}
