import type pg from 'pg';
import { qualifiedName, quoteIdent } from '../mapping.js';
import type { Row } from '../types.js';
import { selectList, type Source, type StoredMessage } from './source.js';

const BATCH = 200;

export interface ChannelVisit {
  /** @param at when it was read: a timestamptz as text, UTC */
  channel(channel: Row, chatType: Row | null, at: string): void;
  /** Messages in the order of their timestamps, and the users named by them who were not named before. */
  messages(messages: readonly { readonly id: string; readonly row: Row; readonly children: StoredMessage['children'] }[], users: readonly Row[]): Promise<void>;
}

/** Whole channels, each read in one snapshot and in batches, so that no more than a batch is in memory. */
export class ChannelReader {
  readonly #pool: pg.Pool;
  readonly #source: Source;

  constructor(pool: pg.Pool, source: Source) {
    this.#pool = pool;
    this.#source = source;
  }

  /**
   * @param maxBytes of the messages' texts
   * @returns 'missing': there is no such channel; 'large': nothing of it was visited
   */
  async read(channelId: string, maxBytes: number, visit: ChannelVisit): Promise<'read' | 'missing' | 'large'> {
    if (!this.#source.canHave('channel', channelId)) return 'missing';
    const client = await this.#pool.connect();
    let fault: Error | undefined;
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const result = await this.#read(client, channelId, maxBytes, visit);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      // Nothing was written: the session is thrown away with its cursor.
      fault = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(fault);
    }
  }

  async #read(client: pg.PoolClient, channelId: string, maxBytes: number, visit: ChannelVisit): Promise<'read' | 'missing' | 'large'> {
    const channel = await this.#rows(client, 'channel', [channelId]);
    const row = channel[0];
    const mapped = this.#source.table('message');
    if (row === undefined || mapped === null) return 'missing';
    const { table } = mapped;
    const column = (logical: string): string => quoteIdent(table.columns[logical] ?? logical);
    const where = `FROM ${qualifiedName(table)} m WHERE ${column('channel_id')} = $1::text::${this.#source.table('channel')?.keyType ?? 'text'}`;
    const size = await client.query<{ bytes: string | null; at: string }>(
      `SELECT sum(octet_length(${column('text')}::text)) AS bytes, (SELECT (now() AT TIME ZONE 'UTC')::text || '+00') AS at ${where}`,
      [channelId],
    );
    if (Number(size.rows[0]?.bytes ?? 0) > maxBytes) return 'large';
    const chatTypeId = row['chat_type_id'];
    const chatType = typeof chatTypeId === 'string' ? await this.#rows(client, 'chatType', [chatTypeId]) : [];
    visit.channel(row, chatType[0] ?? null, size.rows[0]?.at ?? '');

    await client.query(`DECLARE messages NO SCROLL CURSOR FOR SELECT ${column('id')}::text AS id ${where} ORDER BY m.${column('timestamp')}, m.${column('id')}`, [channelId]);
    const named = new Set<string>();
    for (;;) {
      const page = await client.query<{ id: string }>(`FETCH ${BATCH} FROM messages`);
      if (page.rows.length === 0) return 'read';
      const ids = page.rows.map(({ id }) => id);
      const found = await this.#source.readIn(client, ids);
      const messages = ids.flatMap((id) => {
        const message = found.get(id);
        return message?.row === undefined || message.row === null ? [] : [{ id, row: message.row, children: message.children }];
      });
      const unknown = new Set<string>();
      for (const message of messages) {
        for (const { user_id: id } of [message.row, ...message.children.reaction]) if (typeof id === 'string' && !named.has(id)) unknown.add(id);
      }
      for (const id of unknown) named.add(id);
      const users = new Map((unknown.size === 0 ? [] : await this.#rows(client, 'user', [...unknown])).map((user) => [user['id'], user]));
      await visit.messages(messages, [...unknown].map((id) => users.get(id)).filter((user) => user !== undefined));
    }
  }

  async #rows(client: pg.PoolClient, entity: 'channel' | 'chatType' | 'user', ids: readonly string[]): Promise<readonly Row[]> {
    const found = this.#source.table(entity);
    if (found === null) return [];
    const { table, keyType } = found;
    const id = quoteIdent(table.columns['id'] ?? 'id');
    const result = await client.query<Row>(`SELECT ${selectList(table, true)} FROM ${qualifiedName(table)} WHERE ${id} = ANY ($1::text[]::${keyType}[])`, [ids]);
    return result.rows;
  }
}
