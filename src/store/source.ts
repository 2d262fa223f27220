import type pg from 'pg';
import { PreconditionError } from '../errors.js';
import { qualifiedName, quoteIdent, type Mapping, type TableMapping } from '../mapping.js';
import { delay } from '../time.js';
import type { Entity, Row } from '../types.js';

type ChildEntity = 'reaction' | 'attachment' | 'kwarg';

/** A message and its children in one snapshot; children ordered by id. */
export interface StoredMessage {
  readonly row: Row | null;
  /** the application keeps its `serialized` column up to date */
  readonly maintained: boolean;
  readonly children: Readonly<Record<ChildEntity, readonly Row[]>>;
}

interface ReadRow {
  readonly kind: 'snapshot' | 'message' | ChildEntity;
  readonly message_id: string | null;
  readonly cells: readonly (string | null)[];
}

/** Reads the application's tables; writes nothing. */
export class Source {
  readonly #pool: pg.Pool;
  readonly #mapping: Mapping;
  readonly #readSql: string;
  readonly #cells: Readonly<Record<'message' | ChildEntity, readonly string[]>>;
  readonly #idTypes: ReadonlyMap<Entity, string>;

  private constructor(pool: pg.Pool, mapping: Mapping, idTypes: ReadonlyMap<Entity, string>) {
    this.#pool = pool;
    this.#mapping = mapping;
    this.#idTypes = idTypes;
    this.#cells = {
      message: ['timestamp', 'text', 'channel_id', 'user_id'],
      reaction: columnsOf(mapping, 'reaction'),
      attachment: columnsOf(mapping, 'attachment'),
      kwarg: columnsOf(mapping, 'kwarg'),
    };
    this.#readSql = this.#buildRead();
  }

  /** @throws {PreconditionError} naming every table and column that is missing */
  static async open(pool: pg.Pool, mapping: Mapping): Promise<Source> {
    const tables = [...mapping.values()];
    const found = await pool.query<{ table_name: string; column_name: string; type: string }>(
      `SELECT c.oid::regclass::text AS regclass, n.nspname || '.' || c.relname AS table_name, a.attname AS column_name,
              format_type(a.atttypid, a.atttypmod) AS type
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = ANY($1) AND c.relname = ANY($2)`,
      [tables.map((table) => table.schema), tables.map((table) => table.table)],
    );
    const types = new Map(found.rows.map((row) => [`${row.table_name}.${row.column_name}`, row.type]));
    const known = new Set(found.rows.map((row) => row.table_name));
    const faults: string[] = [];
    const idTypes = new Map<Entity, string>();
    for (const table of tables) {
      const name = `${table.schema}.${table.table}`;
      if (!known.has(name)) {
        faults.push(`table ${name} does not exist, or this role may not see it`);
        continue;
      }
      for (const [logical, column] of Object.entries(table.columns)) {
        const type = types.get(`${name}.${column}`);
        if (type === undefined && !table.optional.includes(logical)) faults.push(`column ${name}.${column} does not exist`);
        if (logical === 'id' && type !== undefined) idTypes.set(table.entity, type);
      }
    }
    if (faults.length > 0) {
      throw new PreconditionError(`the database does not hold the chat tables (SOURCE_SCHEMA, TABLE_PREFIX): ${faults.join('; ')}`);
    }
    return new Source(pool, withColumns(mapping, types), idTypes);
  }

  async lookup(entity: Entity, ids: readonly string[]): Promise<readonly Row[]> {
    const table = this.#table(entity);
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const type = this.#idTypes.get(entity) ?? 'text';
    const result = await this.#pool.query<Row>({
      name: `lookup_${entity}`,
      text: `SELECT ${selectList(table)} FROM ${qualifiedName(table)} WHERE ${id} = ANY ($1::text[]::${type}[])`,
      values: [ids],
    });
    return result.rows;
  }

  /** The newest rows first loaded, for a start without a query per message. */
  async newest(entity: Entity, limit: number): Promise<readonly Row[]> {
    const table = this.#table(entity);
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const result = await this.#pool.query<Row>(
      `SELECT ${selectList(table)} FROM ${qualifiedName(table)} ORDER BY ${id} DESC LIMIT ${limit}`,
    );
    return result.rows;
  }

  async channelIds(): Promise<readonly string[]> {
    const table = this.#table('channel');
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const result = await this.#pool.query<{ id: string }>(`SELECT ${id}::text AS id FROM ${qualifiedName(table)} ORDER BY ${id}`);
    return result.rows.map((row) => row.id);
  }

  /**
   * Messages and children in one statement, so in one snapshot, in which all `xids` are visible: a
   * commit is streamed a moment before other sessions see it (for as long as a synchronous standby
   * does not answer), and a read in that moment would be too old.
   */
  async read(messageIds: readonly string[], xids: readonly number[]): Promise<ReadonlyMap<string, StoredMessage>> {
    for (let pause = 1; ; pause = Math.min(pause * 2, 250)) {
      const result = await this.#pool.query<ReadRow>({ name: 'read_messages', text: this.#readSql, values: [messageIds, xids.map(String)] });
      const snapshot = result.rows.find((row) => row.kind === 'snapshot');
      if (snapshot?.cells[0] === 'true') return this.#collect(messageIds, result.rows);
      await delay(pause);
    }
  }

  /** True when commits can wait for a standby between being streamed and being visible. */
  async synchronousStandby(): Promise<boolean> {
    const result = await this.#pool.query<{ names: string }>("SELECT current_setting('synchronous_standby_names') AS names");
    return (result.rows[0]?.names ?? '') !== '';
  }

  #collect(messageIds: readonly string[], rows: readonly ReadRow[]): ReadonlyMap<string, StoredMessage> {
    const messages = new Map<string, { row: Row | null; maintained: boolean; children: Record<ChildEntity, Row[]> }>();
    for (const id of messageIds) messages.set(id, { row: null, maintained: false, children: { reaction: [], attachment: [], kwarg: [] } });
    for (const { kind, message_id, cells } of rows) {
      const message = messages.get(message_id ?? '');
      if (kind === 'snapshot' || message === undefined) continue;
      const row = Object.fromEntries(this.#cells[kind].map((column, index) => [column, cells[index] ?? null]));
      if (kind === 'message') {
        message.row = { ...row, id: message_id };
        message.maintained = cells[cells.length - 1] === 'true';
      } else {
        message.children[kind].push(row);
      }
    }
    return messages;
  }

  #buildRead(): string {
    const message = this.#table('message');
    const idType = this.#idTypes.get('message') ?? 'text';
    const column = (table: TableMapping, name: string): string => `${quoteIdent(table.columns[name] ?? name)}::text`;
    const maintained = 'serialized' in message.columns ? `(${quoteIdent(message.columns['serialized'] ?? '')} IS NOT NULL)::text` : `'false'`;
    const messageCells = [...this.#cells.message.map((name) => column(message, name)), maintained];
    const id = quoteIdent(message.columns['id'] ?? 'id');
    const children = (['reaction', 'attachment', 'kwarg'] as const).map((kind) => {
      const table = this.#table(kind);
      const owner = quoteIdent(table.columns['message_id'] ?? 'message_id');
      const childId = quoteIdent(table.columns['id'] ?? 'id');
      return `SELECT '${kind}', ${owner}::text, row_number() OVER (ORDER BY ${childId}), ARRAY[${this.#cells[kind].map((name) => column(table, name)).join(', ')}]
                FROM ${qualifiedName(table)} WHERE ${owner} = ANY ($1::text[]::${idType}[])`;
    });
    // The WAL has 32 bits of the xid; the epoch is that which brings it nearest to the snapshot's.
    return `
      SELECT kind, message_id, cells FROM (
        SELECT 'snapshot' AS kind, NULL::text AS message_id, 0::bigint AS place, ARRAY[(
          SELECT coalesce(bool_and(pg_visible_in_snapshot((edge + ((x.xid::bigint - (edge & 4294967295) + 2147483648) & 4294967295) - 2147483648)::text::xid8, pg_current_snapshot())), true)::text
            FROM unnest($2::text[]) AS x(xid), (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS edge) s)] AS cells
        UNION ALL
        SELECT 'message', ${id}::text, 0, ARRAY[${messageCells.join(', ')}] FROM ${qualifiedName(message)} WHERE ${id} = ANY ($1::text[]::${idType}[])
        UNION ALL
        ${children.join(' UNION ALL ')}
      ) everything ORDER BY place`;
  }

  #table(entity: Entity): TableMapping {
    const table = this.#mapping.get(entity);
    if (table === undefined) throw new PreconditionError(`no table is mapped for ${entity}`);
    return table;
  }
}

function columnsOf(mapping: Mapping, entity: Entity): readonly string[] {
  return Object.keys(mapping.get(entity)?.columns ?? {});
}

function selectList(table: TableMapping): string {
  return Object.entries(table.columns)
    .map(([logical, column]) => `${quoteIdent(column)}::text AS ${quoteIdent(logical)}`)
    .join(', ');
}

/** Without the optional columns that this database does not have. */
function withColumns(mapping: Mapping, types: ReadonlyMap<string, string>): Mapping {
  return new Map(
    [...mapping].map(([entity, table]) => {
      const columns = Object.entries(table.columns).filter(([, column]) => types.has(`${table.schema}.${table.table}.${column}`));
      return [entity, { ...table, columns: Object.fromEntries(columns) }];
    }),
  );
}
