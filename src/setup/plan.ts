import { refuseMisfit } from '../catalog.js';
import { PreconditionError } from '../errors.js';
import { qualifiedName, quoteIdent, tableName, type TableMapping } from '../mapping.js';
import { identityIsSufficient, type DatabaseState, type Names } from './inspect.js';
import { functionsDigest, withNames } from './scripts.js';

/** One thing to do: its statements run in one transaction, in order. */
export interface Step {
  readonly title: string;
  /** what the role must be or have */
  readonly needs: string;
  readonly sql: readonly string[];
  /** it is about the slot */
  readonly slot?: boolean;
}

const OWNER = 'owner of the table';
const FUNCTIONS = 'functions for control by SQL';
const SCHEMA_OWNER = 'owner of the schema slackchat_bridge';
/** In `meta`, until it has been asked for. */
export const RESYNC_PENDING = 'resync pending';
export const NOTE_RESYNC_SQL = `INSERT INTO slackchat_bridge.meta (key, value) VALUES ('${RESYNC_PENDING}', now()::text) ON CONFLICT (key) DO NOTHING`;

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
  steps.push(...planPublication(state, names), ...planSlot(state, names));
  return steps;
}

/**
 * What the bridge needs before it starts. A slot that was there once and is missing now is no fault
 * here: ON_SLOT_LOST decides about it.
 * @throws {PreconditionError} saying what is missing
 */
export function requireReady(state: DatabaseState, names: Names): void {
  const wasMade = slotWasMade(state, names);
  const missing = planSetup(state, names)
    // Older functions still do what this version asks of them.
    .filter((step) => step.title !== FUNCTIONS && !(wasMade && step.slot === true))
    .map(({ title }) => title);
  if (missing.length === 0) return;
  const slot = state.slot === null && !wasMade ? `replication slot "${names.slot}" does not exist; ` : '';
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
    if (!state.published.has(name)) faults.push(`${name} is not in publication "${names.publication}", or only some of its rows are`);
    else if (!identityIsSufficient(table, state)) faults.push(`the replica identity of ${name} no longer shows deleted rows`);
  }
  return faults;
}

/** Undoes all of it. The bridge must not be running. */
export function planTeardown(state: DatabaseState, names: Names): readonly Step[] {
  if (state.slot?.active === true) {
    throw new PreconditionError(`replication slot "${names.slot}" is in use (backend ${state.slot.activePid}): stop the bridge first`);
  }
  const steps: Step[] = [];
  if (state.slot !== null) {
    steps.push({ title: 'the replication slot', needs: 'REPLICATION', sql: [`SELECT pg_catalog.pg_drop_replication_slot(${literal(names.slot)})`] });
  }
  if (state.published !== null) {
    steps.push({ title: 'the publication', needs: 'owner of the publication', sql: [`DROP PUBLICATION ${quoteIdent(names.publication)}`] });
  }
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
      `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA slackchat_bridge TO ${to}`,
    ],
  };
}

/** The bridge had this slot before: a missing one was lost. */
export function slotWasMade(state: DatabaseState, names: Names): boolean {
  return state.meta.get('slot') === names.slot;
}

/** Only while it is lost: someone else may have made it anew meanwhile. */
export function dropLostSlotSql(slot: string): string {
  return `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots\n WHERE slot_name = ${literal(slot)} AND wal_status = 'lost'`;
}

/** The slot by itself: at setup, and again when it was lost. */
export function createSlotSql(state: Pick<DatabaseState, 'serverVersion'>, slot: string): string {
  const failover = state.serverVersion >= 170_000 ? ', failover => true' : '';
  return `SELECT pg_catalog.pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput'${failover})`;
}

/** Remembers that there was a slot, so that a missing one can be told from one that never was. */
export function rememberSlotSql(slot: string): string {
  return remember('slot', slot);
}

function planPublication(state: DatabaseState, names: Names): readonly Step[] {
  const wanted = [...names.tables.map((table) => ({ name: tableName(table), sql: qualifiedName(table) })), OWN_WEBHOOKS];
  const missing = wanted.filter(({ name }) => state.published?.has(name) !== true);
  const publish: Step[] =
    state.published === null || state.publishesAll
      ? []
      : [{ title: 'the publication publishes everything', needs: 'owner of the publication', sql: [`ALTER PUBLICATION ${quoteIdent(names.publication)} SET (publish = 'insert, update, delete, truncate')`] }];
  if (missing.length === 0) return publish;
  const list = missing.map(({ sql }) => sql).join(',\n  ');
  const name = quoteIdent(names.publication);
  const sql = state.published === null ? `CREATE PUBLICATION ${name} FOR TABLE\n  ${list}` : `ALTER PUBLICATION ${name} ADD TABLE\n  ${list}`;
  return [...publish, { title: 'the publication', needs: `CREATE on the database and ${OWNER}s`, sql: [sql] }];
}

const OWN_WEBHOOKS = { name: 'slackchat_bridge.webhooks', sql: 'slackchat_bridge.webhooks' };

function planSlot(state: DatabaseState, names: Names): readonly Step[] {
  const steps: Step[] = [];
  const lost = state.slot?.walStatus === 'lost';
  if (slotWasMade(state, names) && (state.slot === null || lost)) {
    // What was committed in between is in no slot, so every endpoint has to hear of every channel.
    steps.push({ title: 'a note that every channel is to be announced, because the replication slot was lost', needs: SCHEMA_OWNER, sql: [NOTE_RESYNC_SQL], slot: true });
  }
  if (lost) {
    steps.push({ title: 'the lost replication slot goes', needs: 'REPLICATION', sql: [dropLostSlotSql(names.slot)], slot: true });
  }
  if (state.slot === null || state.slot.walStatus === 'lost') {
    // A slot cannot be made in a transaction that has written, so it stands by itself.
    steps.push({ title: 'the replication slot', needs: 'REPLICATION', sql: [createSlotSql(state, names.slot)], slot: true });
  }
  if (state.meta.get('slot') !== names.slot) {
    steps.push({ title: 'a note that the slot was made', needs: SCHEMA_OWNER, sql: [rememberSlotSql(names.slot)] });
  }
  return steps;
}

function refuseUnfit(state: DatabaseState, names: Names): void {
  if (state.serverVersion < 140_000) {
    throw new PreconditionError(`PostgreSQL 14 or newer is needed; the server is ${Math.floor(state.serverVersion / 10_000)}`);
  }
  requireWalLevel(state);
  const known = Math.max(...state.scripts.map((script) => script.version));
  const newest = Math.max(0, ...state.applied);
  if (newest > known) {
    throw new PreconditionError(`the schema slackchat_bridge was made by a newer version of the bridge (migration ${newest}, this one knows ${known}): update the bridge`);
  }
  refuseMisfit(names.tables, state.catalog);
  if (state.slot !== null && (state.slot.plugin !== 'pgoutput' || state.slot.database !== state.database)) {
    throw new PreconditionError(
      `replication slot "${names.slot}" belongs to something else (plugin ${state.slot.plugin}, database ${state.slot.database}): choose another SLOT_NAME`,
    );
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

function remember(key: string, value: string): string {
  return `INSERT INTO slackchat_bridge.meta (key, value) VALUES (${literal(key)}, ${literal(value)})\n  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
