import type { Entity, Row, Transaction } from '../types.js';
import { TextRenderer } from './render/text.js';

export const DIRECTORY_ENTITIES = ['user', 'channel', 'chatType', 'argument'] as const satisfies readonly Entity[];
export type DirectoryEntity = (typeof DIRECTORY_ENTITIES)[number];

/** Column by column what is kept of each row; the rest (a channel's introduction, a user's e-mail) is not needed. */
const KEPT: Readonly<Record<DirectoryEntity, readonly string[]>> = {
  user: ['api_id'],
  channel: ['chat_type_id'],
  chatType: ['name', 'render_to_html'],
  argument: ['name'],
};

/** The rows of these ids, as the database has them now; those that are not there are left out. */
export type Lookup = (entity: DirectoryEntity, ids: readonly string[]) => Promise<readonly Row[]>;

/** All custom content templates of these chat types, ordered by id. */
export type TemplateLookup = (chatTypeIds: readonly string[]) => Promise<readonly Row[]>;

/** How the database at hand differs from the application's. */
export interface ChatNames {
  /** of these there is no table, or no name in it: what refers to them is the name */
  readonly bare: ReadonlySet<Entity>;
  /** the name of the chat type of channels that have none */
  readonly chatTypeName: string | null;
}

/**
 * Users, channels, chat types and arguments by id: a bounded cache, kept true by the stream. Deleted
 * rows stay until they are pushed out, because a notification that names them can come later than
 * their deletion.
 */
export class Directory {
  readonly #lookup: Lookup;
  readonly #lookupTemplates: TemplateLookup;
  readonly #limit: number;
  readonly #chat: ChatNames;
  /** by chat type; forgotten whenever a template is written, and read again when next needed */
  readonly #renderers = new Map<string, TextRenderer>();
  readonly #rows: Readonly<Record<DirectoryEntity, Map<string, Row>>> = {
    user: new Map(),
    channel: new Map(),
    chatType: new Map(),
    argument: new Map(),
  };

  /** @param limit rows kept of each entity */
  constructor(lookup: Lookup, lookupTemplates: TemplateLookup, limit: number, chat: ChatNames = { bare: new Set(), chatTypeName: null }) {
    this.#chat = chat;
    this.#lookup = lookup;
    this.#lookupTemplates = lookupTemplates;
    this.#limit = limit;
  }

  /** Takes over what a transaction wrote. A deleted row is remembered if it was not known. */
  apply(transaction: Transaction): void {
    for (const change of transaction.changes) {
      if (change.kind === 'truncate' ? change.entities.includes('template') : change.kind === 'row' && change.entity === 'template') this.#renderers.clear();
      if (change.kind !== 'row' || !isDirectoryEntity(change.entity)) continue;
      const row = change.after ?? change.before;
      const id = row?.['id'];
      if (row === null || typeof id !== 'string') continue;
      if (change.op !== 'delete' || !this.#rows[change.entity].has(id)) this.put(change.entity, row);
    }
  }

  /** The stream was not followed for a while: what is known may be out of date. */
  clear(): void {
    for (const rows of Object.values(this.#rows)) rows.clear();
    this.#renderers.clear();
  }

  put(entity: DirectoryEntity, row: Row): void {
    const id = row['id'];
    if (typeof id !== 'string') return;
    const rows = this.#rows[entity];
    const kept = Object.fromEntries(KEPT[entity].map((column) => [column, row[column] ?? null]));
    rows.delete(id);
    rows.set(id, kept);
    if (entity === 'chatType') this.#renderers.delete(id);
    if (rows.size > this.#limit) {
      for (const oldest of rows.keys()) {
        rows.delete(oldest);
        break;
      }
    }
  }

  /** Loads those of the ids that are not known. */
  async ensure(entity: DirectoryEntity, ids: Iterable<string>): Promise<void> {
    if (this.#chat.bare.has(entity)) return;
    const missing = [...new Set(ids)].filter((id) => !this.#rows[entity].has(id));
    if (missing.length === 0) return;
    for (const row of await this.#lookup(entity, missing)) this.put(entity, row);
  }

  /** Also loads the chat types of the channels, with their templates. */
  async ensureChannels(ids: Iterable<string>): Promise<void> {
    const channels = [...ids];
    await this.ensure('channel', channels);
    const chatTypes = new Set(channels.map((id) => this.#rows.channel.get(id)?.['chat_type_id']).filter((id) => typeof id === 'string'));
    await this.ensure('chatType', chatTypes);
    const missing = [...chatTypes].filter((id) => !this.#renderers.has(id));
    if (missing.length === 0) return;
    const templates = await this.#lookupTemplates(missing);
    for (const id of missing) {
      const toHtml = this.#rows.chatType.get(id)?.['render_to_html'] ?? '';
      this.#renderers.set(id, new TextRenderer(templates.filter((row) => row['chat_type_id'] === id), toHtml.startsWith('t')));
    }
  }

  /** What the channel's chat type makes of texts; null when it is not known. */
  renderer(channelId: string): TextRenderer | null {
    return this.#renderers.get(this.#rows.channel.get(channelId)?.['chat_type_id'] ?? '') ?? null;
  }

  /** The user's `api_id`; null when there is no such user. */
  user(id: string): string | null {
    return this.#name('user', id, 'api_id');
  }

  argument(id: string): string | null {
    return this.#name('argument', id, 'name');
  }

  /** The name of the channel's chat type; null when channel or chat type are not there. */
  chatType(channelId: string): string | null {
    const channel = this.#rows.channel.get(channelId);
    const id = channel?.['chat_type_id'];
    if (typeof id === 'string') return this.#name('chatType', id, 'name');
    return channel === undefined ? null : this.#chat.chatTypeName;
  }

  #name(entity: DirectoryEntity, id: string, column: string): string | null {
    return this.#chat.bare.has(entity) ? id : (this.#rows[entity].get(id)?.[column] ?? null);
  }
}

export function isDirectoryEntity(entity: Entity): entity is DirectoryEntity {
  return entity === 'user' || entity === 'channel' || entity === 'chatType' || entity === 'argument';
}
