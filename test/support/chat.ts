import { randomUUID } from 'node:crypto';
import type { QueryResult } from 'pg';

/** A pool, or the client of an open transaction. */
export interface Queryable {
  query<Row extends Record<string, unknown>>(text: string, params: unknown[]): Promise<QueryResult<Row>>;
}

export interface Chat {
  readonly chatTypeId: number;
  /** Of the users with api_id U1 and U2. */
  readonly userIds: readonly [number, number];
  readonly channelId: string;
}

const firstMicrosecond = BigInt(Date.now()) * 1000n;
let microseconds = firstMicrosecond;

/** Unique in this process, as the tables ask, a microsecond apart and never with zero microseconds: "2026-07-28T10:00:00.123457Z". */
export function nextTimestamp(): string {
  microseconds += 1n;
  if (microseconds % 1_000_000n === 0n) microseconds += 1n;
  const seconds = new Date(Number(microseconds / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${(microseconds % 1_000_000n).toString().padStart(6, '0')}Z`;
}

/** A chat type 'default', the users U1 and U2, and a live channel that U1 owns. */
export async function seedChat(db: Queryable): Promise<Chat> {
  const chatTypeId = await insert(db, 'slackchat_chattype', { name: 'default', publish_path: '/slackchats/', render_to_html: false, kwargs_in_threads: false });
  const user = async (apiId: string): Promise<number> =>
    insert(db, 'slackchat_user', { api_id: apiId, first_name: 'User', last_name: apiId, email: null, image: '', title: 'Reporter' });
  const userIds = [await user('U1'), await user('U2')] as const;
  const channelId = await insertChannel(db, { chatTypeId, ownerId: userIds[0] });
  return { chatTypeId, userIds, channelId };
}

export async function insertChannel(
  db: Queryable,
  { chatTypeId, ownerId, ...columns }: { chatTypeId: number; ownerId: number; [column: string]: unknown },
): Promise<string> {
  const id = randomUUID();
  await insert(db, 'slackchat_channel', {
    id,
    api_id: null,
    team_id: null,
    title: 'Live chat',
    introduction: '',
    meta_title: '',
    meta_description: '',
    meta_image: '',
    publish_path: `/chat/${id}/`,
    publish_time: null,
    live: true,
    chat_type_id: chatTypeId,
    owner_id: ownerId,
    extras: null,
    published: false,
    ...columns,
  });
  return id;
}

export interface NewMessage {
  readonly channelId: string;
  readonly userId: number;
  readonly text?: string;
  readonly timestamp?: string;
  /** NULL unless given: nobody maintains the column, so nothing waits for it. */
  readonly serialized?: unknown;
}

export async function insertMessage(
  db: Queryable,
  { channelId, userId, text = 'A new message.', timestamp = nextTimestamp(), serialized }: NewMessage,
): Promise<number> {
  return insert(db, 'slackchat_message', {
    timestamp,
    text,
    channel_id: channelId,
    user_id: userId,
    serialized: serialized === undefined ? null : JSON.stringify(serialized),
  });
}

export interface NewReaction {
  readonly messageId: number;
  readonly userId: number;
  readonly reaction?: string;
  readonly argumentId?: number;
  readonly timestamp?: string;
}

export async function insertReaction(
  db: Queryable,
  { messageId, userId, reaction = 'thumbsup', argumentId, timestamp = nextTimestamp() }: NewReaction,
): Promise<number> {
  return insert(db, 'slackchat_reaction', { timestamp, reaction, argument_id: argumentId ?? null, message_id: messageId, user_id: userId });
}

/** Further columns (title_link, image_url, …) by their names; those that are not given are NULL. */
export async function insertAttachment(db: Queryable, { messageId, ...columns }: { messageId: number; [column: string]: unknown }): Promise<number> {
  return insert(db, 'slackchat_attachment', { title: 'A title', ...columns, message_id: messageId });
}

export interface NewKwarg {
  readonly messageId: number;
  readonly userId: number;
  readonly key?: string;
  readonly value?: string;
  readonly timestamp?: string;
}

export async function insertKwarg(db: Queryable, { messageId, userId, key = 'key', value = 'value', timestamp = nextTimestamp() }: NewKwarg): Promise<number> {
  return insert(db, 'slackchat_keywordargument', { timestamp, key, value, message_id: messageId, user_id: userId });
}

export async function insertArgument(db: Queryable, { chatTypeId, name, character }: { chatTypeId: number; name: string; character: string }): Promise<number> {
  return insert(db, 'slackchat_argument', { name, character, chat_type_id: chatTypeId });
}

async function insert(db: Queryable, table: string, columns: Readonly<Record<string, unknown>>): Promise<number> {
  const names = Object.keys(columns);
  const { rows } = await db.query<{ id: number }>(
    `INSERT INTO ${table} (${names.map((name) => `"${name}"`).join(', ')}) VALUES (${names.map((_, at) => `$${at + 1}`).join(', ')}) RETURNING id`,
    Object.values(columns),
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`INSERT INTO ${table} returned nothing`);
  return row.id;
}
