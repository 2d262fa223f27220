import type { Entity } from './types.js';

/** Where an entity's rows are and how its columns are named. */
export interface TableMapping {
  readonly entity: Entity;
  readonly schema: string;
  readonly table: string;
  /** logical name → real name, for every column that the bridge reads */
  readonly columns: Readonly<Record<string, string>>;
  /** logical names that a deleted row must still show, so the replica identity has to cover them */
  readonly oldRow: readonly string[];
  /** logical names that may be missing in the database */
  readonly optional: readonly string[];
}

export type Mapping = ReadonlyMap<Entity, TableMapping>;

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

interface Layout {
  readonly entity: Entity;
  readonly name: string;
  readonly columns: readonly string[];
  readonly oldRow: readonly string[];
  readonly optional?: readonly string[];
}

const LAYOUT: readonly Layout[] = [
  {
    entity: 'message',
    name: 'message',
    columns: ['id', 'timestamp', 'text', 'channel_id', 'user_id', 'serialized'],
    oldRow: ['id', 'timestamp', 'text', 'channel_id', 'user_id'],
    optional: ['serialized'],
  },
  {
    entity: 'reaction',
    name: 'reaction',
    columns: ['id', 'timestamp', 'reaction', 'argument_id', 'message_id', 'user_id'],
    oldRow: ['id', 'message_id'],
  },
  { entity: 'attachment', name: 'attachment', columns: ['id', 'message_id', ...ATTACHMENT_KEYS], oldRow: ['id', 'message_id'] },
  { entity: 'kwarg', name: 'keywordargument', columns: ['id', 'key', 'value', 'message_id'], oldRow: ['id', 'message_id'] },
  { entity: 'user', name: 'user', columns: ['id', 'api_id'], oldRow: ['id', 'api_id'] },
  { entity: 'channel', name: 'channel', columns: ['id', 'chat_type_id'], oldRow: ['id', 'chat_type_id'] },
  { entity: 'chatType', name: 'chattype', columns: ['id', 'name', 'render_to_html'], oldRow: ['id', 'name'] },
  { entity: 'argument', name: 'argument', columns: ['id', 'name'], oldRow: ['id', 'name'] },
  {
    entity: 'template',
    name: 'customcontenttemplate',
    columns: ['id', 'chat_type_id', 'search_string', 'content_template', 'argument_template', 'attachment_template', 'kwarg_template'],
    oldRow: ['id'],
  },
  { entity: 'appWebhook', name: 'webhook', columns: ['id', 'endpoint', 'verified'], oldRow: ['id'] },
];

/**
 * The application's own names under a schema and a table prefix.
 * @param appWebhooks with its own table of webhooks
 */
export function slackchatMapping(schema: string, prefix: string, appWebhooks = false): Mapping {
  return new Map(
    LAYOUT.filter(({ entity }) => appWebhooks || entity !== 'appWebhook').map(({ entity, name, columns, oldRow, optional }) => [
      entity,
      {
        entity,
        schema,
        table: prefix + name,
        columns: Object.fromEntries(columns.map((column) => [column, column])),
        oldRow,
        optional: optional ?? [],
      },
    ]),
  );
}

export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function qualifiedName(table: { readonly schema: string; readonly table: string }): string {
  return `${quoteIdent(table.schema)}.${quoteIdent(table.table)}`;
}
