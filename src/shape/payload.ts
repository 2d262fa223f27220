import { createHash } from 'node:crypto';
import type { Lsn } from '../lsn.js';
import type { Notification, UpdateType } from '../types.js';

export type ChannelIdFormat = 'uuid' | 'hex';

/** What all notifications of one transaction share. */
export interface Origin {
  /** the cluster's system identifier */
  readonly systemId: string;
  readonly commitLsn: Lsn;
  readonly committedAt: number;
}

/**
 * The `webhook-id`: cluster, commit and place in the transaction, so that it is the same whenever the
 * transaction is read again. A row's own LSN would not do: COPY gives several rows one.
 */
export function notificationId(origin: Origin, place: string): string {
  return `${origin.systemId}-${origin.commitLsn.toString(16).toUpperCase().padStart(16, '0')}-${place}`;
}

export function messageNotification(
  origin: Origin,
  seq: number,
  format: ChannelIdFormat,
  about: {
    readonly channelId: string;
    readonly chatType: string | null;
    readonly messageId: string;
    readonly updateType: UpdateType;
    /** JSON text */
    readonly message: string;
  },
): Notification {
  const { channelId, chatType, messageId, updateType, message } = about;
  return {
    id: notificationId(origin, String(seq)),
    lsn: origin.commitLsn,
    seq,
    committedAt: origin.committedAt,
    channelId,
    messageId,
    chatType,
    updateType,
    webhookId: null,
    body:
      `{"type":"update_notification","channel":${JSON.stringify(spell(channelId, format))},"chat_type":${JSON.stringify(chatType)},` +
      `"update_type":"${updateType}","message":${message}}`,
  };
}

/** 'This channel changed', without saying how: receivers fetch it again. */
export function channelNotification(
  origin: Origin,
  seq: number,
  format: ChannelIdFormat,
  about: { readonly channelId: string; readonly chatType: string | null; readonly webhookId: string | null },
): Notification {
  const { channelId, chatType, webhookId } = about;
  return {
    id: notificationId(origin, `${seq}-${headerSafe(channelId)}`),
    lsn: origin.commitLsn,
    seq,
    committedAt: origin.committedAt,
    channelId,
    messageId: null,
    chatType,
    updateType: null,
    webhookId,
    body: JSON.stringify({ type: 'update_notification', channel: spell(channelId, format), chat_type: chatType }),
  };
}

export type ChannelRequest = 'republish_request' | 'unpublish_request';

/**
 * The whole channel, asked for by a person.
 * @param channelData JSON text: a string, or null
 */
export function requestNotification(origin: Origin, seq: number, type: ChannelRequest, about: { readonly channelId: string; readonly chatType: string | null }, channelData: string): Notification {
  const { channelId, chatType } = about;
  return {
    id: notificationId(origin, `${seq}-${headerSafe(channelId)}`),
    lsn: origin.commitLsn,
    seq,
    committedAt: origin.committedAt,
    channelId,
    messageId: null,
    chatType,
    updateType: null,
    webhookId: null,
    // With hyphens, whatever CHANNEL_ID_FORMAT says: the application spells it so here.
    body: `{"type":"${type}","channel":${JSON.stringify(channelId)},"channel_data":${channelData},"chat_type":${JSON.stringify(chatType)}}`,
  };
}

/** Other schemas' keys can be any text, and the id goes into a header. */
function headerSafe(channelId: string): string {
  return /^[\w-]{1,64}$/u.test(channelId) ? channelId : createHash('sha256').update(channelId).digest('hex').slice(0, 32);
}

function spell(channelId: string, format: ChannelIdFormat): string {
  return format === 'hex' ? channelId.replaceAll('-', '') : channelId;
}
