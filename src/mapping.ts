import type { Entity } from './types.js';

/** Where an entity's rows are and how its columns are named. */
export interface TableMapping {
  readonly entity: ChatEntity;
  readonly schema: string;
  readonly table: string;
  /** logical name → real name, for every column that the bridge reads */
  readonly columns: Readonly<Record<string, string>>;
  /** logical names that a deleted row must still show, so the replica identity has to cover them */
  readonly oldRow: readonly string[];
  /** logical names that may be missing in the database */
  readonly optional: readonly string[];
}

export type Mapping = ReadonlyMap<ChatEntity, TableMapping>;

/** How the bridge finds a chat in a database. */
export interface ChatMapping {
  readonly tables: Mapping;
  /** the name of the chat type of channels that have none */
  readonly chatTypeName: string | null;
}

/** Keys of an attachment in the order in which the application serializes them. */
export const ATTACHMENT_TEXTS = ['title', 'title_link', 'text', 'service_name', 'service_icon', 'service_url', 'image_url'] as const;
export const ATTACHMENT_KEYS = [
  ...ATTACHMENT_TEXTS,
  'image_width',
  'image_height',
  'video_html',
  'video_html_width',
  'video_html_height',
  'thumb_url',
  'thumb_width',
  'thumb_height',
] as const;

/**
 * What a column's values have to be. 'key' names rows, and so does the entity of another table that
 * the column refers to; 'any' is only looked at for being NULL.
 */
export type ColumnKind = 'key' | 'text' | 'timestamp' | 'boolean' | 'number' | 'json' | 'any' | Reference;
export type Reference = 'message' | 'user' | 'channel' | 'chatType' | 'argument';

export interface ColumnLayout {
  readonly kind: ColumnKind;
  /** what is not there reads as NULL; 'mapped': only a table that is not the application's own may lack it */
  readonly optional?: 'mapped' | 'always';
  /** a deleted row must still show it */
  readonly oldRow?: true;
  /** not read for a notification: only when a whole channel is serialized, or messages are looked for */
  readonly whole?: true;
}

export interface TableLayout {
  /** the application's own name of the table, without its prefix */
  readonly name: string;
  /** by logical name, which is the application's own */
  readonly columns: Readonly<Record<string, ColumnLayout>>;
}

/** The entities whose tables are the application's. */
export type ChatEntity = Exclude<Entity, 'webhook'>;

const WHOLE = { optional: 'always', whole: true } as const;

/** What the bridge reads of the application: one line a column. */
export const LAYOUT: Readonly<Record<ChatEntity, TableLayout>> = {
  message: {
    name: 'message',
    columns: {
      id: { kind: 'key', oldRow: true },
      timestamp: { kind: 'timestamp', oldRow: true },
      text: { kind: 'text', oldRow: true },
      channel_id: { kind: 'channel', oldRow: true },
      user_id: { kind: 'user', oldRow: true },
      serialized: { kind: 'any', optional: 'always' },
    },
  },
  reaction: {
    name: 'reaction',
    columns: {
      id: { kind: 'key', oldRow: true },
      timestamp: { kind: 'timestamp', optional: 'mapped' },
      reaction: { kind: 'text' },
      argument_id: { kind: 'argument', optional: 'mapped' },
      message_id: { kind: 'message', oldRow: true },
      user_id: { kind: 'user', optional: 'mapped' },
    },
  },
  attachment: {
    name: 'attachment',
    columns: {
      id: { kind: 'key', oldRow: true },
      message_id: { kind: 'message', oldRow: true },
      ...Object.fromEntries(ATTACHMENT_KEYS.map((key) => [key, { kind: /_(width|height)$/u.test(key) ? 'number' : 'text', optional: 'mapped' } as const])),
    },
  },
  kwarg: {
    name: 'keywordargument',
    columns: {
      id: { kind: 'key', oldRow: true },
      timestamp: { kind: 'timestamp', ...WHOLE },
      key: { kind: 'text' },
      value: { kind: 'text' },
      message_id: { kind: 'message', oldRow: true },
    },
  },
  user: {
    name: 'user',
    columns: {
      id: { kind: 'key', oldRow: true },
      api_id: { kind: 'text', optional: 'mapped', oldRow: true },
      first_name: { kind: 'text', ...WHOLE },
      last_name: { kind: 'text', ...WHOLE },
      image: { kind: 'text', ...WHOLE },
      title: { kind: 'text', ...WHOLE },
    },
  },
  channel: {
    name: 'channel',
    columns: {
      id: { kind: 'key', oldRow: true },
      chat_type_id: { kind: 'chatType', optional: 'mapped', oldRow: true },
      api_id: { kind: 'text', ...WHOLE },
      title: { kind: 'text', ...WHOLE },
      introduction: { kind: 'text', ...WHOLE },
      meta_title: { kind: 'text', ...WHOLE },
      meta_description: { kind: 'text', ...WHOLE },
      meta_image: { kind: 'text', ...WHOLE },
      extras: { kind: 'json', ...WHOLE },
      publish_path: { kind: 'text', ...WHOLE },
      publish_time: { kind: 'timestamp', ...WHOLE },
      live: { kind: 'boolean', ...WHOLE },
      published: { kind: 'boolean', ...WHOLE },
    },
  },
  chatType: {
    name: 'chattype',
    columns: {
      id: { kind: 'key', oldRow: true },
      name: { kind: 'text', oldRow: true },
      render_to_html: { kind: 'boolean', optional: 'mapped' },
      publish_path: { kind: 'text', ...WHOLE },
    },
  },
  argument: {
    name: 'argument',
    columns: {
      id: { kind: 'key', oldRow: true },
      name: { kind: 'text', oldRow: true },
    },
  },
  template: {
    name: 'customcontenttemplate',
    columns: {
      id: { kind: 'key', oldRow: true },
      chat_type_id: { kind: 'chatType' },
      search_string: { kind: 'text' },
      content_template: { kind: 'text', optional: 'mapped' },
      argument_template: { kind: 'text', optional: 'mapped' },
      attachment_template: { kind: 'json', optional: 'mapped' },
      kwarg_template: { kind: 'json', optional: 'mapped' },
    },
  },
  appWebhook: {
    name: 'webhook',
    columns: {
      id: { kind: 'key', oldRow: true },
      endpoint: { kind: 'text' },
      verified: { kind: 'boolean' },
    },
  },
};

/** Parts that a chat database can do without. */
export const OPTIONAL_ENTITIES: readonly ChatEntity[] = ['reaction', 'attachment', 'kwarg', 'user', 'chatType', 'argument', 'template'];

export const CHAT_ENTITIES = Object.keys(LAYOUT).filter((name): name is ChatEntity => name in LAYOUT);

/**
 * The application's own names under a schema and a table prefix.
 * @param appWebhooks with its own table of webhooks
 */
export function slackchatMapping(schema: string, prefix: string, appWebhooks = false): Mapping {
  const entities = CHAT_ENTITIES.filter((entity) => appWebhooks || entity !== 'appWebhook');
  return new Map(entities.map((entity) => [entity, ownTable(entity, schema, prefix)]));
}

function ownTable(entity: ChatEntity, schema: string, prefix: string): TableMapping {
  const { name, columns } = LAYOUT[entity];
  const logical = Object.keys(columns);
  return {
    entity,
    schema,
    table: prefix + name,
    columns: Object.fromEntries(logical.map((column) => [column, column])),
    oldRow: logical.filter((column) => columns[column]?.oldRow === true),
    optional: logical.filter((column) => columns[column]?.optional === 'always'),
  };
}

/** Only read when a whole channel is serialized. */
export function isWhole(entity: Entity, logical: string): boolean {
  return entity !== 'webhook' && LAYOUT[entity].columns[logical]?.whole === true;
}

export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualifiedName(table: { readonly schema: string; readonly table: string }): string {
  return `${quoteIdent(table.schema)}.${quoteIdent(table.table)}`;
}

/** For people, and as a key: no two tables have the same. */
export function tableName(table: { readonly schema: string; readonly table: string }): string {
  return /[".]/u.test(table.schema + table.table) ? qualifiedName(table) : `${table.schema}.${table.table}`;
}
