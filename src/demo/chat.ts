import { randomUUID } from 'node:crypto';
import type { ClientBase, Pool } from 'pg';
import type { Body } from './expectations.js';

export interface Author {
  readonly id: number;
  readonly apiId: string;
}

export interface Channel {
  readonly id: string;
  readonly title: string;
}

/** A message as the story knows it, before and after it is in the database. */
export interface Draft {
  readonly timestamp: string;
  readonly author: Author;
  readonly channel: Channel;
  readonly text: string;
}

export interface Reaction {
  readonly timestamp: string;
  readonly reaction: string;
  readonly user: string;
}

export const CHAT_TYPE = 'newsroom';
let microseconds = BigInt(Date.now()) * 1000n;

/** Unique, as the tables ask, and never with zero microseconds: "2026-07-28T10:00:00.123457Z". */
export function nextTimestamp(): string {
  microseconds += 1n;
  if (microseconds % 1_000_000n === 0n) microseconds += 1n;
  const seconds = new Date(Number(microseconds / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${(microseconds % 1_000_000n).toString().padStart(6, '0')}Z`;
}

export const draft = (channel: Channel, author: Author, text: string): Draft => ({ timestamp: nextTimestamp(), author, channel, text });
export const reaction = (author: Author, name: string): Reaction => ({ timestamp: nextTimestamp(), reaction: name, user: author.apiId });

/** What must arrive, as the contract says it; `more` goes over the message's own keys or after them. */
function expectedBody(kind: Body['update_type'], { channel, timestamp, author, text }: Draft, more: Readonly<Record<string, unknown>>): Body {
  const message = { timestamp, user: author.apiId, content: text, ...more };
  return { type: 'update_notification', channel: channel.id, chat_type: CHAT_TYPE, update_type: kind, message };
}
export const created = (message: Draft, more: Readonly<Record<string, unknown>> = {}): Body => expectedBody('message_created', message, more);
export const changed = (message: Draft, more: Readonly<Record<string, unknown>> = {}): Body => expectedBody('message_changed', message, more);
export const deleted = (message: Draft): Body => expectedBody('message_deleted', message, {});

/** The statements of one open transaction, as the application or a person would write them. Messages are found by their timestamp, which is unique. */
export class Statements {
  readonly #client: ClientBase;

  constructor(client: ClientBase) {
    this.#client = client;
  }

  async query(sql: string, values: readonly unknown[] = []): Promise<void> {
    await this.#client.query(sql, [...values]);
  }

  async insert(table: string, columns: Readonly<Record<string, unknown>>, message?: Draft): Promise<void> {
    const all = Object.entries(columns);
    const names = [...all.map(([name]) => name), ...(message === undefined ? [] : ['message_id'])];
    const places = [...all.map((_, at) => `$${at + 1}`), ...(message === undefined ? [] : [`(SELECT id FROM slackchat_message WHERE timestamp = $${all.length + 1})`])];
    const values = [...all.map(([, value]) => value), ...(message === undefined ? [] : [message.timestamp])];
    await this.query(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${places.join(', ')})`, values);
  }

  async write({ timestamp, text, channel, author }: Draft, serialized: object | null = null): Promise<void> {
    await this.insert('slackchat_message', { timestamp, text, channel_id: channel.id, user_id: author.id, serialized });
  }

  async set({ timestamp }: Draft, column: 'text' | 'channel_id' | 'serialized', value: unknown): Promise<void> {
    await this.query(`UPDATE slackchat_message SET ${column} = $1 WHERE timestamp = $2`, [value, timestamp]);
  }

  async react(message: Draft, { timestamp, reaction: name }: Reaction, author: Author, argument: number | null = null): Promise<void> {
    await this.insert('slackchat_reaction', { timestamp, reaction: name, user_id: author.id, argument_id: argument }, message);
  }

  async tag(message: Draft, key: string, value: string): Promise<void> {
    await this.insert('slackchat_keywordargument', { timestamp: nextTimestamp(), key, value, user_id: message.author.id }, message);
  }

  /** Children first, as the application deletes. */
  async remove(message: Draft): Promise<void> {
    for (const table of ['slackchat_reaction', 'slackchat_attachment', 'slackchat_keywordargument']) {
      await this.query(`DELETE FROM ${table} USING slackchat_message m WHERE message_id = m.id AND m.timestamp = $1`, [message.timestamp]);
    }
    await this.query('DELETE FROM slackchat_message WHERE timestamp = $1', [message.timestamp]);
  }
}

export interface Cast {
  readonly ana: Author;
  readonly ben: Author;
  readonly general: Channel;
  readonly elections: Channel;
  readonly lunch: Channel;
  /** of the argument that the reaction :pushpin: stands for */
  readonly pinned: number;
}

/** Who and what is there before the first message. */
export async function seed(pool: Pool): Promise<Cast> {
  const id = async (sql: string, values: readonly unknown[]): Promise<number> => {
    const { rows } = await pool.query<{ id: number }>(`${sql} RETURNING id`, [...values]);
    return rows[0]?.id ?? 0;
  };
  const chatType = await id('INSERT INTO slackchat_chattype (name, publish_path, render_to_html, kwargs_in_threads) VALUES ($1, $2, false, false)', [CHAT_TYPE, '/chats/']);
  const author = async (apiId: string, name: string): Promise<Author> => ({
    apiId,
    id: await id(`INSERT INTO slackchat_user (api_id, first_name, last_name, image, title) VALUES ($1, $2, '', '', 'Reporter')`, [apiId, name]),
  });
  const [ana, ben] = [await author('U0ANA', 'Ana'), await author('U0BEN', 'Ben')];
  const channel = async (title: string): Promise<Channel> => {
    const channelId = randomUUID();
    await pool.query(
      'INSERT INTO slackchat_channel (id, title, publish_path, live, chat_type_id, owner_id, published) VALUES ($1, $2, $2, true, $3, $4, false)',
      [channelId, title, chatType, ana.id],
    );
    return { id: channelId, title: `#${title}` };
  };
  const [general, elections, lunch] = [await channel('general'), await channel('elections'), await channel('lunch')];
  const pinned = await id(`INSERT INTO slackchat_argument (name, "character", chat_type_id) VALUES ('pinned', 'pushpin', $1)`, [chatType]);
  return { ana, ben, general, elections, lunch, pinned };
}
