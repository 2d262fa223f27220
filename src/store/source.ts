import type pg from 'pg';
import { keyType, present, readCatalog, refuseMisfit } from '../catalog.js';
import { errorCode } from '../errors.js';
import { compareIds, isKey } from '../ids.js';
import { parseLsn, type Lsn } from '../lsn.js';
import { isWhole, qualifiedName, quoteIdent, type ChatEntity, type Mapping, type TableMapping } from '../mapping.js';
import { shardSql, type Shard } from '../shard.js';
import { delay } from '../time.js';
import type { Row } from '../types.js';
import { Snapshot } from './snapshot.js';
import { readSnapshot } from './snapshot-query.js';

type ChildEntity = 'reaction' | 'attachment' | 'kwarg';

/** A message and its children in one snapshot; children ordered by id. */
export interface StoredMessage {
  readonly row: Row | null;
  /** the application keeps its `serialized` column up to date */
  readonly maintained: boolean;
  readonly children: Readonly<Record<ChildEntity, readonly Row[]>>;
}

/** Each of its columns by itself: the driver would take an array apart character by character, with ten times its size in memory. */
type ReadRow = [kind: 'message' | ChildEntity | 'read at', messageId: string, ...cells: (string | null)[]];

/** What the catalog says of the mapped tables. */
interface Layout {
  /** without optional columns that this database does not have */
  readonly mapping: Mapping;
  readonly keyTypes: ReadonlyMap<ChatEntity, string>;
  readonly cells: Readonly<Record<'message' | ChildEntity, readonly string[]>>;
  readonly readSql: string;
  /** goes into the names of prepared statements, whose text depends on the layout */
  readonly version: number;
}

/** So often it is asked at once whether a commit is visible: an answer takes 0.05 ms, and the shortest pause more than 1. */
const AT_ONCE = 8;

/** Reads the application's tables; writes nothing. A table that this database does without has no rows. */
export class Source {
  readonly #pool: pg.Pool;
  readonly #mapping: Mapping;
  #layout: Layout;
  #snapshot: Snapshot | null = null;

  private constructor(pool: pg.Pool, mapping: Mapping, layout: Layout) {
    this.#pool = pool;
    this.#mapping = mapping;
    this.#layout = layout;
  }

  /** @throws {PreconditionError} naming every table and column that is missing or does not fit */
  static async open(pool: pg.Pool, mapping: Mapping): Promise<Source> {
    return new Source(pool, mapping, await describe(pool, mapping, 1));
  }

  async lookup(entity: ChatEntity, ids: readonly string[]): Promise<readonly Row[]> {
    const table = this.#table(entity);
    if (table === undefined) return [];
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const type = this.#keyType(entity);
    const result = await this.#query<Row>(
      `lookup_${entity}`,
      `SELECT ${selectList(table)} FROM ${qualifiedName(table)} WHERE ${id} = ANY ($1::text[]::${type}[])`,
      [this.#keysOf(entity, ids)],
    );
    return result.rows;
  }

  /** The custom content templates of these chat types, in the order of their ids. */
  async templates(chatTypeIds: readonly string[]): Promise<readonly Row[]> {
    const table = this.#table('template');
    if (table === undefined) return [];
    const chatType = quoteIdent(table.columns['chat_type_id'] ?? 'chat_type_id');
    const type = this.#keyType('chatType');
    const result = await this.#query<Row>(
      'templates',
      `SELECT ${selectList(table)} FROM ${qualifiedName(table)} t WHERE ${chatType} = ANY ($1::text[]::${type}[]) ORDER BY t.${quoteIdent(table.columns['id'] ?? 'id')}`,
      [chatTypeIds],
    );
    return result.rows;
  }

  /** The newest rows first loaded, for a start without a query per message. */
  async newest(entity: ChatEntity, limit: number): Promise<readonly Row[]> {
    const table = this.#table(entity);
    if (table === undefined) return [];
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const result = await this.#pool.query<Row>(
      `SELECT ${selectList(table)} FROM ${qualifiedName(table)} t ORDER BY t.${id} DESC LIMIT ${limit}`,
    );
    return result.rows;
  }

  /** In the order of their ids, those after this one; null: from the first. */
  async channelIds(after: string | null, limit: number): Promise<readonly string[]> {
    const table = this.#table('channel');
    if (table === undefined) return [];
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const result = await this.#pool.query<{ id: string }>(
      // Not by what is selected, which is text.
      `SELECT ${id}::text AS id FROM ${qualifiedName(table)} t WHERE $1::text IS NULL OR ${id} > $1::text::${this.#keyType('channel')} ORDER BY t.${id} LIMIT $2`,
      [after, limit],
    );
    return result.rows.map((row) => row.id);
  }

  /**
   * Messages and children in one statement, so in one snapshot.
   * @returns with the end of the WAL after that was taken: all that it shows was committed before
   */
  async read(messageIds: readonly string[]): Promise<{ readonly messages: ReadonlyMap<string, StoredMessage>; readonly readAt: Lsn }> {
    const rows = await this.#relearning(async () => (await this.#pool.query<ReadRow>(this.#reading(messageIds))).rows);
    const [, end = ''] = rows.find(([kind]) => kind === 'read at') ?? [];
    return { messages: this.#collect(messageIds, rows), readAt: parseLsn(end) };
  }

  /** The same in the transaction of a session. */
  async readIn(client: Pick<pg.ClientBase, 'query'>, messageIds: readonly string[]): Promise<ReadonlyMap<string, StoredMessage>> {
    const { rows } = await client.query<ReadRow>(this.#reading(messageIds));
    return this.#collect(messageIds, rows);
  }

  #reading(messageIds: readonly string[]): pg.QueryArrayConfig {
    return { name: `read_messages_${this.#layout.version}`, text: this.#layout.readSql, values: [this.#keysOf('message', messageIds)], rowMode: 'array' };
  }

  /** How long the messages' texts are, in bytes; the texts themselves are not read. */
  async sizes(messageIds: readonly string[]): Promise<readonly (readonly [string, number])[]> {
    const table = this.#table('message');
    if (table === undefined) return [];
    const column = (logical: string): string => quoteIdent(table.columns[logical] ?? logical);
    const result = await this.#query<{ id: string; bytes: string }>(
      'sizes',
      `SELECT ${column('id')}::text AS id, octet_length(${column('text')}::text) AS bytes FROM ${qualifiedName(table)} WHERE ${column('id')} = ANY ($1::text[]::${this.#keyType('message')}[])`,
      [this.#keysOf('message', messageIds)],
    );
    return result.rows.map(({ id, bytes }) => [id, Number(bytes)]);
  }

  /** Those of these messages that are the shard's. */
  async ownOf(shard: Shard, messageIds: readonly string[]): Promise<readonly string[]> {
    const type = this.#keyType('message');
    const keys = this.#keysOf('message', messageIds);
    const { rows } = await this.#query<{ id: string }>('own', `SELECT k.id FROM unnest($1::text[]) AS k(id) WHERE ${shardSql(shard, type, `k.id::${type}`)}`, [keys]);
    return rows.map(({ id }) => id);
  }

  /** How the table is in this database, and the type of its keys; null: there is none. */
  table(entity: ChatEntity): { readonly table: TableMapping; readonly keyType: string } | null {
    const table = this.#table(entity);
    return table === undefined ? null : { table, keyType: this.#keyType(entity) };
  }

  /**
   * Waits until the transactions are visible to new snapshots. A commit is streamed a moment before:
   * as a rule some microseconds, as long as a synchronous standby does not answer, and on a busy
   * machine often long enough for a receiver, or a read of ours, to come too early.
   *
   * What one snapshot saw, all later ones see: of a backlog the first answer tells everything.
   * @param xids as the WAL has them, 32 bits
   */
  async awaitVisible(xids: readonly number[], signal: AbortSignal): Promise<void> {
    for (let asked = 1; !signal.aborted; asked += 1) {
      this.#snapshot = new Snapshot(await readSnapshot(this.#pool));
      if (this.isVisible(xids)) return;
      if (asked >= AT_ONCE) await delay(Math.min(2 ** (asked - AT_ONCE), 250), signal);
    }
  }

  /** Whether that is known without asking. */
  isVisible(xids: readonly number[]): boolean {
    const snapshot = this.#snapshot;
    return snapshot !== null && xids.every((xid) => snapshot.sees(xid));
  }

  /** The server may have crashed, and given numbers again that it had given before. */
  forgetSnapshot(): void {
    this.#snapshot = null;
  }

  #collect(messageIds: readonly string[], rows: readonly ReadRow[]): ReadonlyMap<string, StoredMessage> {
    const messages = new Map<string, { row: Row | null; maintained: boolean; children: Record<ChildEntity, Row[]> }>();
    for (const id of messageIds) messages.set(id, { row: null, maintained: false, children: { reaction: [], attachment: [], kwarg: [] } });
    for (const [kind, messageId, ...cells] of rows) {
      const message = messages.get(messageId);
      if (message === undefined || kind === 'read at') continue;
      const row = Object.fromEntries(this.#layout.cells[kind].map((column, index) => [column, cells[index] ?? null]));
      if (kind === 'message') {
        message.row = { ...row, id: messageId };
        message.maintained = cells[this.#layout.cells.message.length] === 'true';
      } else {
        message.children[kind].push(row);
      }
    }
    // As the children of a new message are ordered, whatever the database's collation.
    for (const kind of ['reaction', 'attachment', 'kwarg'] as const) {
      if (this.#keyType(kind) === 'text') for (const { children } of messages.values()) children[kind].sort((a, b) => compareIds(a['id'], b['id']));
    }
    return messages;
  }

  /** A column or table that is gone or has another name: the catalog is read again, and the caller tries again. */
  #query<T extends pg.QueryResultRow>(name: string, text: string, values: unknown[]): Promise<pg.QueryResult<T>> {
    return this.#relearning(() => this.#pool.query<T>({ name: `${name}_${this.#layout.version}`, text, values }));
  }

  async #relearning<T>(query: () => Promise<T>): Promise<T> {
    try {
      return await query();
    } catch (error) {
      const code = errorCode(error);
      if (code === '42703' || code === '42P01') this.#layout = await describe(this.#pool, this.#mapping, this.#layout.version + 1);
      throw error;
    }
  }

  /** Whether there can be a row with this key. */
  canHave(entity: ChatEntity, id: string): boolean {
    return isKey(id, this.#keyType(entity));
  }

  #keysOf(entity: ChatEntity, ids: readonly string[]): readonly string[] {
    const type = this.#keyType(entity);
    return ids.every((id) => isKey(id, type)) ? ids : ids.filter((id) => isKey(id, type));
  }

  #keyType(entity: ChatEntity): string {
    return this.#layout.keyTypes.get(entity) ?? 'text';
  }

  #table(entity: ChatEntity): TableMapping | undefined {
    return this.#layout.mapping.get(entity);
  }
}

async function describe(pool: pg.Pool, mapping: Mapping, version: number): Promise<Layout> {
  const mapped = [...mapping.values()];
  const catalog = await readCatalog(pool, mapped);
  refuseMisfit(mapped, catalog);
  const found = present(mapped, catalog);
  const keyTypes = new Map([...found.keys()].map((entity) => [entity, keyType(entity, found.values(), catalog)]));
  const columns = (entity: ChatEntity): readonly string[] => Object.keys(found.get(entity)?.columns ?? {});
  const cells = {
    message: ['timestamp', 'text', 'channel_id', 'user_id'],
    reaction: columns('reaction'),
    attachment: columns('attachment'),
    kwarg: columns('kwarg').filter((logical) => !isWhole('kwarg', logical)),
  };
  return { mapping: found, keyTypes, cells, readSql: readSql(found, keyTypes.get('message') ?? 'text', cells), version };
}

function readSql(mapping: Mapping, idType: string, cells: Layout['cells']): string {
  const column = (table: TableMapping, name: string): string => quoteIdent(table.columns[name] ?? name);
  const texts = (table: TableMapping, names: readonly string[]): string[] => names.map((name) => `${column(table, name)}::text`);
  // One more for a message: whether it is maintained.
  const width = Math.max(...Object.values(cells).map((columns) => columns.length), cells.message.length + 1);
  const padded = (list: readonly string[]): string => Array.from({ length: width }, (_item, index) => list[index] ?? 'NULL::text').join(', ');
  const parts = [`SELECT 'read at', pg_current_wal_insert_lsn()::text, 0::bigint, ${padded([])}`];
  for (const kind of ['message', 'reaction', 'attachment', 'kwarg'] as const) {
    const table = mapping.get(kind);
    if (table === undefined) continue;
    const owner = column(table, kind === 'message' ? 'id' : 'message_id');
    const list = texts(table, cells[kind]);
    if (kind === 'message') list.push('serialized' in table.columns ? `(${column(table, 'serialized')} IS NOT NULL)::text` : `'false'`);
    parts.push(`SELECT '${kind}', ${owner}::text, row_number() OVER (ORDER BY ${column(table, 'id')}), ${padded(list)}
          FROM ${qualifiedName(table)} WHERE ${owner} = ANY ($1::text[]::${idType}[])`);
  }
  const names = Array.from({ length: width }, (_item, index) => `c${index}`).join(', ');
  return `SELECT kind, message_id, ${names} FROM (${parts.join(' UNION ALL ')}) everything (kind, message_id, place, ${names}) ORDER BY place`;
}

/** @param whole with the columns that are only read when a whole channel is serialized */
export function selectList(table: TableMapping, whole = false): string {
  return Object.entries(table.columns)
    .filter(([logical]) => whole || !isWhole(table.entity, logical))
    .map(([logical, column]) => `${quoteIdent(column)}::text AS ${quoteIdent(logical)}`)
    .join(', ');
}
