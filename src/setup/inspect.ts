import type pg from 'pg';
import { readCatalog, type Catalog } from '../catalog.js';
import { parseLsn, type Lsn } from '../lsn.js';
import { tableName, type ChatEntity, type TableMapping } from '../mapping.js';
import { shardOfPublication, shardOfSlot, type Names } from './names.js';
import { isSameFilter, rowFilter } from './row-filter.js';
import { readScripts, type Script } from './scripts.js';

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
  /** null: it cannot say */
  readonly confirmed: Lsn | null;
}

export interface PublicationState {
  /** it publishes inserts, updates, deletes and truncates */
  readonly publishesAll: boolean;
  /** names of tables, without those of which other rows are published than have to be; null: there is no such publication */
  readonly published: ReadonlySet<string> | null;
  /** names of tables of which other rows are published than have to be */
  readonly misfiltered: ReadonlySet<string>;
}

/** What setup, teardown and the start of the bridge have to know about a database. */
export interface DatabaseState extends PublicationState {
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
  readonly slot: SlotState | null;
  /** by name: all that are called as this bridge calls them, whatever number of shards they are for */
  readonly slots: ReadonlyMap<string, SlotState>;
  readonly publications: ReadonlyMap<string, PublicationState>;
  /** ids of endpoints with ordering = 'channel'; only looked at where that matters */
  readonly channelOrdered: readonly string[];
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

  const catalog = await readCatalog(client, names.tables);
  const publications = await inspectPublications(client, names, catalog);
  const slots = await inspectSlots(client, names);
  const ordered =
    own.applied.length > 0 && names.shard !== null ? (await client.query<{ id: string }>(`SELECT id::text FROM slackchat_bridge.webhooks WHERE ordering = 'channel' ORDER BY id`)).rows : [];
  return {
    serverVersion: Number(server?.version ?? 0),
    walLevel: server?.wal_level ?? '',
    database: server?.database ?? '',
    ...own,
    functionsDigest: own.meta.get('functions') ?? null,
    tables,
    catalog,
    ...(publications.get(names.publication) ?? NO_PUBLICATION),
    publications,
    slot: slots.get(names.slot) ?? null,
    slots,
    channelOrdered: ordered.map(({ id }) => id),
    scripts: readScripts(),
  };
}

export const NO_PUBLICATION: PublicationState = { publishesAll: false, published: null, misfiltered: new Set() };

async function inspectPublications(client: Queryable, names: Names, catalog: Catalog): Promise<ReadonlyMap<string, PublicationState>> {
  const found = await client.query<{ name: string; everything: string }>(
    `SELECT pubname::text AS name, (pubinsert AND pubupdate AND pubdelete AND pubtruncate)::text AS everything FROM pg_publication WHERE starts_with(pubname, $1)`,
    [names.base.publication],
  );
  // Row filters came with PostgreSQL 15.
  const members = await client.query<{ publication: string; schema: string; table: string; filter: string | null }>(
    `SELECT pubname::text AS publication, schemaname AS schema, tablename AS table, to_jsonb(t) ->> 'rowfilter' AS filter
       FROM pg_publication_tables t WHERE starts_with(pubname, $1)`,
    [names.base.publication],
  );
  const publications = new Map<string, PublicationState>();
  for (const { name, everything } of found.rows) {
    const shard = shardOfPublication(names, name);
    if (shard === undefined) continue;
    const filters = new Map(names.tables.map((table) => [tableName(table), rowFilter(table, shard, catalog)]));
    const published = new Set<string>();
    const misfiltered = new Set<string>();
    for (const member of members.rows) {
      if (member.publication !== name) continue;
      const table = tableName(member);
      (isSameFilter(member.filter, filters.get(table) ?? null) ? published : misfiltered).add(table);
    }
    publications.set(name, { publishesAll: everything === 'true', published, misfiltered });
  }
  return publications;
}

async function inspectSlots(client: Queryable, names: Names): Promise<ReadonlyMap<string, SlotState>> {
  const { rows } = await client.query<{ name: string; plugin: string | null; database: string | null; active: string; active_pid: string | null; wal_status: string | null; confirmed: string | null }>(
    `SELECT slot_name::text AS name, plugin::text, database::text, active::text, active_pid::text, wal_status, confirmed_flush_lsn::text AS confirmed
       FROM pg_replication_slots WHERE starts_with(slot_name, $1)`,
    [names.base.slot],
  );
  return new Map(
    rows.flatMap((row) => {
      if (shardOfSlot(names, row.name) === undefined) return [];
      const { plugin, database, active, active_pid: pid, wal_status: walStatus, confirmed } = row;
      return [[row.name, { plugin, database, active: active === 'true', activePid: pid === null ? null : Number(pid), walStatus, confirmed: confirmed === null ? null : parseLsn(confirmed) }]];
    }),
  );
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
