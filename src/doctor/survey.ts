import type pg from 'pg';
import { errorCode, errorMessage } from '../errors.js';
import { qualifiedName, quoteIdent, tableName, type TableMapping } from '../mapping.js';
import { inspect, inspectOwn, type DatabaseState, type OwnState } from '../setup/inspect.js';
import type { Names } from '../setup/names.js';
import type { Row } from '../types.js';
import type { Fact } from './check.js';
import { MARKING_ROLES, MARKING_SETTINGS, platformOf, type Platform } from './platform.js';

type Queryable = Pick<pg.ClientBase, 'query'>;

export interface Server {
  readonly version: string;
  readonly role: string;
  readonly inRecovery: boolean;
  readonly mayCreate: boolean;
  /** "TLSv1.3"; null: not encrypted */
  readonly tls: string | null;
  /** this machine's clock is so much ahead of the server's, give or take half of the round trip */
  readonly clockAheadMs: number;
  readonly roundTripMs: number;
}

export interface Replication {
  readonly slots: number;
  readonly walsenders: number;
  readonly idleSlots: readonly string[];
  readonly activeSlots: readonly string[];
  /** physical slots */
  readonly standbys: number;
  /** null: this role may not see it */
  readonly synchronous: number | null;
}

export interface SlotDetails {
  readonly active: boolean;
  readonly lagBytes: number | null;
  readonly keptBytes: number | null;
  readonly safeWalSize: number | null;
  readonly walStatus: string | null;
  readonly lostBecause: string | null;
  /** standbys may keep a copy; null: the server is too old for that */
  readonly failover: boolean | null;
}

/** A table that the role needs something of. */
export interface Access {
  readonly schema: string;
  readonly table: string;
  readonly privilege: string;
  readonly granted: boolean;
  readonly usage: boolean;
  readonly owner: boolean;
  /** row-level security hides rows from this role */
  readonly filtered: boolean;
}

export interface Published {
  readonly name: string;
  readonly rowFilter: string | null;
  /** null: all columns */
  readonly columns: readonly string[] | null;
}

export interface EndpointRow {
  readonly id: string;
  readonly endpoint: string;
  readonly enabled: boolean;
  readonly verified: boolean;
  readonly lastError: string | null;
  readonly disabledReason: string | null;
  readonly deliverFrom: string | null;
  readonly hasToken: boolean;
}

export interface Parked {
  readonly waiting: number;
  readonly dead: number;
  readonly oldestSeconds: number | null;
}

/** Everything that the checks look at. What the role may not see says so. */
export interface Survey {
  readonly names: Names;
  readonly platform: Platform;
  readonly server: Fact<Server>;
  /** by name; numbers in the setting's base unit */
  readonly settings: Fact<ReadonlyMap<string, string>>;
  /** where synchronous_commit is off for a role or database */
  readonly asynchronous: Fact<readonly { readonly whose: string; readonly reset: string }[]>;
  readonly replication: Fact<Replication>;
  readonly own: Fact<OwnState>;
  readonly state: Fact<DatabaseState>;
  readonly slot: Fact<SlotDetails | null>;
  readonly published: Fact<readonly Published[]>;
  readonly access: Fact<readonly Access[]>;
  /** functions of the bridge that the role may not call */
  readonly refusedFunctions: Fact<number>;
  readonly endpoints: Fact<readonly EndpointRow[]>;
  readonly parked: Fact<Parked>;
  /** verified rows and all rows of the application's own table; null: there is no such table */
  readonly appWebhooks: Fact<{ readonly verified: number; readonly all: number } | null>;
  readonly templates: Fact<readonly Row[]>;
}

const SETTINGS = [
  'wal_level', 'max_replication_slots', 'max_wal_senders', 'wal_sender_timeout', 'synchronous_standby_names', 'synchronized_standby_slots',
  'synchronous_commit', 'max_slot_wal_keep_size', 'idle_replication_slot_timeout', 'wal_writer_delay',
] as const;

/** @param app the application's own table of webhooks */
export async function survey(client: Queryable, names: Names, app: TableMapping): Promise<Survey> {
  const rows = async <T extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<readonly T[]> => (await client.query<T>(sql, [...values])).rows;
  const own = await ask(() => inspectOwn(client));
  const nothing: OwnState = { schemaExists: true, applied: [], meta: new Map() };
  return {
    names,
    platform: await platform(rows),
    server: await ask(() => server(rows)),
    settings: await ask(async () => new Map((await rows<{ name: string; setting: string }>('SELECT name, setting FROM pg_settings WHERE name = ANY ($1)', [SETTINGS])).map((row) => [row.name, row.setting]))),
    asynchronous: await ask(() =>
      rows<{ whose: string; reset: string }>(
        `SELECT concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname) AS whose,
                CASE WHEN r.rolname IS NULL THEN format('ALTER DATABASE %I', d.datname)
                     ELSE format('ALTER ROLE %I', r.rolname) || coalesce(format(' IN DATABASE %I', d.datname), '') END || ' RESET synchronous_commit;' AS reset
           FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
          WHERE 'synchronous_commit=off' = ANY (s.setconfig) AND (s.setdatabase = 0 OR d.datname = current_database()) ORDER BY 1`,
      ),
    ),
    replication: await ask(() => replication(rows)),
    own,
    state: await ask(() => inspect(client, names, own.known ? own.value : nothing)),
    slot: await ask(() => slot(rows, names.slot)),
    published: await ask(() => published(rows, names.publication)),
    access: await ask(() => access(rows, names)),
    refusedFunctions: await ask(async () => {
      const [row] = await rows<{ refused: string }>(
        `SELECT count(*)::text AS refused FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
          WHERE n.nspname = 'slackchat_bridge' AND p.prorettype <> 'trigger'::regtype AND NOT has_function_privilege(p.oid, 'EXECUTE')`,
      );
      return Number(row?.refused ?? 0);
    }),
    endpoints: await ask(() => endpoints(rows)),
    parked: await ask(() => parked(rows)),
    appWebhooks: await ask(() => appWebhooks(rows, app)),
    templates: await ask(() => templates(rows, names)),
  };
}

async function ask<T>(question: () => Promise<T>): Promise<Fact<T>> {
  try {
    return { known: true, value: await question() };
  } catch (error) {
    const code = errorCode(error);
    // A fault of the connection, or a server that stops, concerns everything that is still to be asked.
    if (code === undefined || /^(08|57P)/u.test(code) || !/^[0-9A-Z]{5}$/u.test(code)) throw error;
    return { known: false, why: errorMessage(error) };
  }
}

type Rows = <T extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]) => Promise<readonly T[]>;

async function platform(rows: Rows): Promise<Platform> {
  const [row] = await rows<{ roles: readonly string[]; settings: readonly string[]; aurora: boolean }>(
    `SELECT ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1)) AS roles,
            ARRAY(SELECT name FROM unnest($2::text[]) AS name WHERE current_setting(name, true) IS NOT NULL) AS settings,
            to_regproc('aurora_version') IS NOT NULL AS aurora`,
    [MARKING_ROLES, MARKING_SETTINGS],
  );
  return platformOf({ roles: row?.roles ?? [], settings: row?.settings ?? [], aurora: row?.aurora ?? false });
}

async function server(rows: Rows): Promise<Server> {
  const sentAt = Date.now();
  const [clock] = await rows<{ ms: string }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS ms');
  const answeredAt = Date.now();
  const [row] = await rows<{ version: string; role: string; recovery: boolean; create: boolean; tls: string | null }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_user::text AS role, pg_is_in_recovery() AS recovery,
            has_database_privilege(current_database(), 'CREATE') AS create,
            (SELECT s.version FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl) AS tls`,
  );
  return {
    version: row?.version ?? '',
    role: row?.role ?? '',
    inRecovery: row?.recovery ?? false,
    mayCreate: row?.create ?? false,
    tls: row?.tls ?? null,
    clockAheadMs: Math.round((sentAt + answeredAt) / 2 - Number(clock?.ms)),
    roundTripMs: answeredAt - sentAt,
  };
}

async function replication(rows: Rows): Promise<Replication> {
  // Of other roles' walsenders everything but their number is hidden without pg_monitor.
  const [row] = await rows<{ slots: string; walsenders: string; idle: readonly string[]; active: readonly string[]; standbys: string; visible: boolean; synchronous: string }>(
    `SELECT (SELECT count(*) FROM pg_replication_slots)::text AS slots, (SELECT count(*) FROM pg_stat_replication)::text AS walsenders,
            ARRAY(SELECT slot_name::text FROM pg_replication_slots WHERE NOT active ORDER BY 1) AS idle,
            ARRAY(SELECT slot_name::text FROM pg_replication_slots WHERE active ORDER BY 1) AS active,
            (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical')::text AS standbys,
            (SELECT coalesce(bool_and(state IS NOT NULL), true) FROM pg_stat_replication) AS visible,
            (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))::text AS synchronous`,
  );
  return {
    slots: Number(row?.slots ?? 0),
    walsenders: Number(row?.walsenders ?? 0),
    idleSlots: row?.idle ?? [],
    activeSlots: row?.active ?? [],
    standbys: Number(row?.standbys ?? 0),
    synchronous: row?.visible === true ? Number(row.synchronous) : null,
  };
}

async function slot(rows: Rows, name: string): Promise<SlotDetails | null> {
  const [row] = await rows<{ active: boolean; lag: string | null; kept: string | null; safe: string | null; status: string | null; lost: string | null; failover: boolean | null }>(
    `SELECT s.active, pg_wal_lsn_diff(w.now, s.confirmed_flush_lsn)::text AS lag, pg_wal_lsn_diff(w.now, s.restart_lsn)::text AS kept,
            s.safe_wal_size::text AS safe, s.wal_status AS status, nullif(to_jsonb(s) ->> 'invalidation_reason', '') AS lost,
            (to_jsonb(s) ->> 'failover')::boolean AS failover
       FROM pg_replication_slots s, (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) w (now)
      WHERE s.slot_name = $1`,
    [name],
  );
  if (row === undefined) return null;
  const number = (text: string | null): number | null => (text === null ? null : Number(text));
  return { active: row.active, lagBytes: number(row.lag), keptBytes: number(row.kept), safeWalSize: number(row.safe), walStatus: row.status, lostBecause: row.lost, failover: row.failover };
}

async function published(rows: Rows, publication: string): Promise<readonly Published[]> {
  // Row filters and column lists came with PostgreSQL 15; without a list all columns are named.
  const found = await rows<{ schema: string; table: string; filter: string | null; columns: readonly string[] | null }>(
    `SELECT t.schemaname::text AS schema, t.tablename::text AS table, to_jsonb(t) ->> 'rowfilter' AS filter,
            CASE WHEN to_jsonb(t) ? 'attnames' THEN ARRAY(SELECT jsonb_array_elements_text(to_jsonb(t) -> 'attnames')) END AS columns
       FROM pg_publication_tables t WHERE t.pubname = $1`,
    [publication],
  );
  return found.map(({ filter, columns, ...table }) => ({ name: tableName(table), rowFilter: filter, columns }));
}

async function access(rows: Rows, names: Names): Promise<readonly Access[]> {
  const chat = names.tables.map((table) => [table.schema, table.table, 'SELECT'] as const);
  const own = ['webhooks', 'deliveries', 'meta', 'complete_since'].flatMap((table) => ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((privilege) => ['slackchat_bridge', table, privilege] as const));
  const wanted = [...chat, ['slackchat_bridge', 'migrations', 'SELECT'] as const, ...own];
  const found = await rows<Access & pg.QueryResultRow>(
    `SELECT n.nspname::text AS schema, c.relname::text AS table, w.privilege, has_table_privilege(c.oid, w.privilege) AS granted, has_schema_privilege(n.oid, 'USAGE') AS usage,
            pg_has_role(c.relowner, 'USAGE') AS owner, row_security_active(c.oid) AS filtered
       FROM unnest($1::text[], $2::text[], $3::text[]) AS w (schema, name, privilege)
       JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name ORDER BY 1, 2, 3`,
    [wanted.map(([schema]) => schema), wanted.map(([, table]) => table), wanted.map(([, , privilege]) => privilege)],
  );
  const app = names.tables.find(({ entity }) => entity === 'appWebhook');
  if (app === undefined) return found;
  const [update] = await rows<Access & pg.QueryResultRow>(
    `SELECT n.nspname::text AS schema, c.relname::text AS table, 'UPDATE (' || a.attname || ')' AS privilege, has_column_privilege(c.oid, a.attnum, 'UPDATE') AS granted,
            has_schema_privilege(n.oid, 'USAGE') AS usage, pg_has_role(c.relowner, 'USAGE') AS owner, false AS filtered
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3`,
    [app.schema, app.table, app.columns['verified'] ?? 'verified'],
  );
  return update === undefined ? found : [...found, update];
}

async function endpoints(rows: Rows): Promise<readonly EndpointRow[]> {
  const found = await rows<{ id: string; endpoint: string; enabled: boolean; verified: boolean; error: string | null; reason: string | null; from: string | null; token: boolean }>(
    `SELECT w.id::text, w.endpoint, w.enabled, w.verified, w.last_error AS error, w.disabled_reason AS reason, to_jsonb(w) ->> 'deliver_from' AS from, w.token IS NOT NULL AS token
       FROM slackchat_bridge.webhooks w ORDER BY w.id LIMIT 1000`,
  );
  return found.map((row) => ({
    id: row.id, endpoint: row.endpoint, enabled: row.enabled, verified: row.verified, lastError: row.error, disabledReason: row.reason, deliverFrom: row.from, hasToken: row.token,
  }));
}

async function parked(rows: Rows): Promise<Parked> {
  const [row] = await rows<{ waiting: string; dead: string; oldest: string | null }>(
    `SELECT count(*) FILTER (WHERE status = 'waiting')::text AS waiting, count(*) FILTER (WHERE status = 'dead')::text AS dead,
            extract(epoch FROM now() - min(coalesce(first_attempt_at, created_at)) FILTER (WHERE status = 'waiting'))::text AS oldest
       FROM slackchat_bridge.deliveries`,
  );
  return { waiting: Number(row?.waiting ?? 0), dead: Number(row?.dead ?? 0), oldestSeconds: row === undefined || row.oldest === null ? null : Number(row.oldest) };
}

async function appWebhooks(rows: Rows, app: TableMapping): Promise<{ verified: number; all: number } | null> {
  const there = await rows('SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2', [app.schema, app.table]);
  if (there.length === 0) return null;
  const [row] = await rows<{ verified: string; all: string }>(
    `SELECT count(*) FILTER (WHERE ${quoteIdent(app.columns['verified'] ?? 'verified')})::text AS verified, count(*)::text AS all FROM ${qualifiedName(app)}`,
  );
  return { verified: Number(row?.verified ?? 0), all: Number(row?.all ?? 0) };
}

async function templates(rows: Rows, names: Names): Promise<readonly Row[]> {
  const table = names.tables.find(({ entity }) => entity === 'template');
  if (table === undefined) return [];
  const columns = Object.entries(table.columns).map(([logical, column]) => `to_jsonb(t) ->> ${literal(column)} AS ${quoteIdent(logical)}`);
  return rows<Row>(`SELECT ${columns.join(', ')} FROM ${qualifiedName(table)} t ORDER BY t.${quoteIdent(table.columns['id'] ?? 'id')} LIMIT 10000`);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
