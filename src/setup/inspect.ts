import type pg from 'pg';
import { readCatalog, type Catalog } from '../catalog.js';
import { tableName, type ChatEntity, type TableMapping } from '../mapping.js';
import { readScripts, type Script } from './scripts.js';

export interface Names {
  readonly slot: string;
  readonly publication: string;
  readonly tables: readonly TableMapping[];
}

export interface TableState {
  readonly entity: ChatEntity;
  /** 'd' primary key, 'f' full, 'n' nothing, 'i' an index; null: the table is not there */
  readonly replicaIdentity: 'd' | 'f' | 'n' | 'i' | null;
  /** real names of the columns that the identity covers */
  readonly identityColumns: readonly string[];
  readonly identityIndex: string | null;
}

export interface SlotState {
  readonly plugin: string | null;
  readonly database: string | null;
  readonly active: boolean;
  readonly activePid: number | null;
  readonly walStatus: string | null;
}

/** What setup, teardown and the start of the bridge have to know about a database. */
export interface DatabaseState {
  /** like 180004 */
  readonly serverVersion: number;
  readonly walLevel: string;
  readonly database: string;
  readonly schemaExists: boolean;
  readonly applied: readonly number[];
  readonly functionsDigest: string | null;
  readonly meta: ReadonlyMap<string, string>;
  readonly tables: ReadonlyMap<ChatEntity, TableState>;
  readonly catalog: Catalog;
  /** the publication publishes inserts, updates, deletes and truncates */
  readonly publishesAll: boolean;
  /** names of tables, without those of which only some rows are published; null: there is no such publication */
  readonly published: ReadonlySet<string> | null;
  readonly slot: SlotState | null;
  readonly scripts: readonly Script[];
}

interface TableRow {
  readonly schema: string;
  readonly table: string;
  readonly relreplident: string;
  readonly identity_columns: readonly string[] | null;
  readonly identity_index: string | null;
}

type Queryable = Pick<pg.ClientBase, 'query'>;

/** What the bridge's own schema remembers. */
export type OwnState = Pick<DatabaseState, 'schemaExists' | 'applied' | 'meta'>;

export async function inspectOwn(client: Queryable): Promise<OwnState> {
  const found = await client.query<{ schema: string | null; migrations: string | null }>(
    `SELECT to_regnamespace('slackchat_bridge')::text AS schema, to_regclass('slackchat_bridge.migrations')::text AS migrations`,
  );
  const migrated = typeof found.rows[0]?.migrations === 'string';
  const applied = migrated ? (await client.query<{ version: string }>('SELECT version::text FROM slackchat_bridge.migrations ORDER BY version')).rows : [];
  const meta = applied.length > 0 ? (await client.query<{ key: string; value: string }>('SELECT key, value FROM slackchat_bridge.meta')).rows : [];
  return {
    schemaExists: typeof found.rows[0]?.schema === 'string',
    applied: applied.map(({ version }) => Number(version)),
    meta: new Map(meta.map(({ key, value }) => [key, value])),
  };
}

/** @param known the bridge's own schema, where it was looked at already or must not be */
export async function inspect(client: Queryable, names: Names, known?: OwnState): Promise<DatabaseState> {
  const own = known ?? (await inspectOwn(client));
  const one = async <T extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<T | undefined> =>
    (await client.query<T>(sql, values)).rows[0];

  const server = await one<{ version: string; wal_level: string; database: string }>(
    `SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level, current_database()::text AS database`,
  );

  const rows = await client.query<TableRow>(
    `SELECT n.nspname AS schema, c.relname AS table, c.relreplident::text AS relreplident,
            (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) AS identity_columns,
            CASE WHEN c.relreplident = 'i' THEN (SELECT x.relname::text FROM pg_class x WHERE x.oid = i.indexrelid) END AS identity_index
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_index i ON i.indrelid = c.oid
        AND ((c.relreplident = 'i' AND i.indisreplident) OR (c.relreplident = 'd' AND i.indisprimary))
      WHERE c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
    [names.tables.map((table) => table.schema), names.tables.map((table) => table.table)],
  );
  const found = new Map(rows.rows.map((row) => [tableName(row), row]));
  const tables = new Map(names.tables.map((table) => [table.entity, tableState(table, found.get(tableName(table)))]));

  const publication = await one<{ everything: string }>(
    'SELECT (pubinsert AND pubupdate AND pubdelete AND pubtruncate)::text AS everything FROM pg_publication WHERE pubname = $1',
    [names.publication],
  );
  const published =
    publication === undefined
      ? null
      : (await client.query<{ schema: string; table: string }>(`SELECT schemaname AS schema, tablename AS table FROM pg_publication_tables t WHERE pubname = $1 AND to_jsonb(t) ->> 'rowfilter' IS NULL`, [names.publication])).rows;
  const slot = await one<{ plugin: string | null; database: string | null; active: string; active_pid: string | null; wal_status: string | null }>(
    `SELECT plugin::text, database::text, active::text, active_pid::text, wal_status FROM pg_replication_slots WHERE slot_name = $1`,
    [names.slot],
  );
  return {
    serverVersion: Number(server?.version ?? 0),
    walLevel: server?.wal_level ?? '',
    database: server?.database ?? '',
    ...own,
    functionsDigest: own.meta.get('functions') ?? null,
    tables,
    catalog: await readCatalog(client, names.tables),
    publishesAll: publication?.everything === 'true',
    published: published === null ? null : new Set(published.map(tableName)),
    slot:
      slot === undefined
        ? null
        : {
            plugin: slot.plugin,
            database: slot.database,
            active: slot.active === 'true',
            activePid: slot.active_pid === null ? null : Number(slot.active_pid),
            walStatus: slot.wal_status,
          },
    scripts: readScripts(),
  };
}

function tableState(table: TableMapping, row: TableRow | undefined): TableState {
  const identity = (['d', 'f', 'n', 'i'] as const).find((kind) => kind === row?.relreplident) ?? null;
  return {
    entity: table.entity,
    replicaIdentity: identity,
    identityColumns: identity === 'd' || identity === 'i' ? (row?.identity_columns ?? []) : [],
    identityIndex: row?.identity_index ?? null,
  };
}

/** The old row of a delete shows everything that the bridge must know of it. */
export function identityIsSufficient(table: TableMapping, { tables, catalog }: Pick<DatabaseState, 'tables' | 'catalog'>): boolean {
  const state = tables.get(table.entity);
  if (state === undefined || state.replicaIdentity === 'f') return true;
  const columns = catalog.get(table.entity)?.columns;
  return table.oldRow.every((logical) => {
    const column = table.columns[logical];
    return column === undefined || state.identityColumns.includes(column) || columns?.has(column) === false;
  });
}
