/** The bodies that the bridge sends. A receiver ignores keys that it does not know. docs/schemas has the same as JSON Schema. */
export type Payload = UrlVerification | Notification;
export type Notification = UpdateNotification | RepublishRequest | UnpublishRequest;
export type UpdateNotification = MessageNotification | ChannelNotification;

export type UpdateType = 'message_created' | 'message_changed' | 'message_deleted';

/** To be answered with the challenge. */
export interface UrlVerification {
  token: string;
  type: 'url_verification';
  challenge: string;
}

/** A message was created, changed or deleted. */
export interface MessageNotification {
  token: string;
  type: 'update_notification';
  /** UUID, hyphenated unless the bridge runs with CHANNEL_ID_FORMAT=hex */
  channel: string;
  /** null: the channel or its chat type is not in the database any more */
  chat_type: string | null;
  update_type: UpdateType;
  message: Message;
}

/** Something in the channel changed, without saying what: fetch it again. */
export interface ChannelNotification {
  token: string;
  type: 'update_notification';
  channel: string;
  chat_type: string | null;
  update_type?: null;
  message?: null;
}

export interface RepublishRequest {
  token: string;
  type: 'republish_request';
  channel: string;
  /** the whole channel as JSON in a string (what JSON.parse makes of it is a ChannelData); null: it is gone by now, or too large to be sent */
  channel_data: string | null;
  chat_type: string | null;
}

export interface UnpublishRequest {
  token: string;
  type: 'unpublish_request';
  channel: string;
  /** the whole channel as JSON in a string (what JSON.parse makes of it is a ChannelData); null: it is gone by now, or too large to be sent */
  channel_data: string | null;
  chat_type: string | null;
}

/** Keys without a value are left out. */
export interface Message {
  /** ISO 8601; no two messages have the same */
  timestamp: string;
  /** the author's Slack id */
  user?: string;
  content?: string;
  reactions?: Reaction[];
  attachments?: Attachment[];
  args?: string[];
  /** strings, unless a content template of the chat type says otherwise */
  kwargs?: Record<string, unknown>;
}

export interface Reaction {
  /** absent: the chat's database has no such column */
  timestamp?: string | null;
  reaction: string;
  /** null: the user is not in the database any more; absent: the chat's database has no such column */
  user?: string | null;
}

/**
 * Those of Slack hold strings, and numbers for widths and heights, keys without a value left out. A
 * content template of the chat type can add one that holds anything: look before you use a value.
 */
export interface Attachment {
  title?: unknown;
  title_link?: unknown;
  text?: unknown;
  service_name?: unknown;
  service_icon?: unknown;
  service_url?: unknown;
  image_url?: unknown;
  image_width?: unknown;
  image_height?: unknown;
  video_html?: unknown;
  video_html_width?: unknown;
  video_html_height?: unknown;
  thumb_url?: unknown;
  thumb_width?: unknown;
  thumb_height?: unknown;
  [key: string]: unknown;
}

/** A channel as `channel_data` holds it, and as the application's API serves it. */
export interface ChannelData {
  /** UUID, hyphenated */
  id: string;
  api_id: string | null;
  chat_type: string | null;
  title: string | null;
  /** Markdown, or HTML where the chat type renders it */
  introduction: string | null;
  meta: { title: string | null; description: string | null; image: string | null };
  /** any JSON */
  extras: unknown;
  paths: { channel: string | null; chat_type: string | null };
  publish_path: string;
  publish_time: string | null;
  live: boolean | null;
  /** authors and reactors by their Slack ids */
  users: Record<string, ChannelUser>;
  /** the API has null for one that was written past the application */
  messages: (Message | null)[];
  /** when it was read */
  timestamp: string;
}

export interface ChannelUser {
  first_name: string | null;
  last_name: string | null;
  image: string | null;
  title: string | null;
}
