import { createHash } from 'node:crypto';
import type { Lsn } from '../lsn.js';
import type { Notification, UpdateType } from '../types.js';

export type ChannelIdFormat = 'uuid' | 'hex';

export interface PayloadOptions {
  readonly channelIdFormat: ChannelIdFormat;
  /** what a message's payload may have: MAX_PAYLOAD_MB, in bytes */
  readonly maxPayloadBytes: number;
}

/** What all notifications of one transaction share. */
export interface Origin {
  /** the cluster's system identifier */
  readonly systemId: string;
  readonly commitLsn: Lsn;
  readonly committedAt: number;
  /**
   * Where several instances share the messages, the part of the transaction: of its changes each sees its own, so places
   * in it would name others there. null: this instance sees all of them
   */
  readonly part: number | null;
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
  { channelIdFormat, maxPayloadBytes }: PayloadOptions,
  about: {
    readonly channelId: string;
    readonly chatType: string | null;
    readonly messageId: string;
    readonly updateType: UpdateType;
    /** see `Notification` */
    readonly foretold?: boolean;
    /** JSON text, or of how many characters a text is that alone is too large */
    readonly message: string | number;
    /** it is told once more, to these endpoints (null: all) */
    readonly replayTo?: readonly string[] | null;
  },
): Notification {
  const { channelId, chatType, messageId, updateType, foretold = false, message, replayTo } = about;
  const replay = replayTo !== undefined;
  return {
    id: notificationId(origin, origin.part === null ? String(seq) : `${replay ? 'replay' : updateType.slice('message_'.length)}-${origin.part}-${headerSafe(messageId)}`),
    lsn: origin.commitLsn,
    seq,
    committedAt: origin.committedAt,
    channelId,
    messageId,
    chatType,
    updateType,
    webhookIds: replayTo ?? null,
    foretold,
    ...(replay ? { replay } : {}),
    ...messageBody(`{"type":"update_notification","channel":${JSON.stringify(spell(channelId, channelIdFormat))},"chat_type":${JSON.stringify(chatType)},"update_type":"${updateType}"`, message, maxPayloadBytes),
  };
}

/** 'This channel changed', without saying how: receivers fetch it again. */
export function channelNotification(
  origin: Origin,
  seq: number,
  channelIdFormat: ChannelIdFormat,
  about: { readonly channelId: string; readonly chatType: string | null; readonly webhookIds: readonly string[] | null },
): Notification {
  const { channelId, chatType, webhookIds } = about;
  return {
    id: notificationId(origin, `${seq}-${headerSafe(channelId)}`),
    lsn: origin.commitLsn,
    seq,
    committedAt: origin.committedAt,
    channelId,
    messageId: null,
    chatType,
    updateType: null,
    webhookIds,
    body: JSON.stringify({ type: 'update_notification', channel: spell(channelId, channelIdFormat), chat_type: chatType }),
  };
}

export type ChannelRequest = 'republish_request' | 'unpublish_request';

/** `channel_data`: the JSON text of a string, or of null; or why there is none. */
export type ChannelJson = { readonly json: string } | { readonly tooLarge: string };

/** The whole channel, asked for by a person. */
export function requestNotification(origin: Origin, seq: number, type: ChannelRequest, about: { readonly channelId: string; readonly chatType: string | null }, data: ChannelJson): Notification {
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
    webhookIds: null,
    // With hyphens, whatever CHANNEL_ID_FORMAT says: the application spells it so here.
    ...requestBody(`{"type":"${type}","channel":${JSON.stringify(channelId)}`, `,"chat_type":${JSON.stringify(chatType)}}`, data),
  };
}

function requestBody(head: string, tail: string, data: ChannelJson): Pick<Notification, 'body' | 'dead'> {
  return 'tooLarge' in data ? { body: head + tail, dead: data.tooLarge } : { body: `${head},"channel_data":${data.json}${tail}` };
}

/**
 * What is too large to be sent is kept without what makes it so: it would be in memory and in the
 * database once more for every endpoint. Sent by hand after all, it tells that there is something to fetch.
 */
function messageBody(head: string, message: string | number, maxBytes: number): Pick<Notification, 'body' | 'dead'> {
  if (typeof message === 'number') return { body: `${head}}`, dead: tooLarge(`a text of ${message} characters`, maxBytes) };
  const body = `${head},"message":${message}}`;
  // Three bytes for one character at the most: nearly all are known to fit without being counted.
  if (body.length * 3 <= maxBytes) return { body };
  const bytes = Buffer.byteLength(body);
  return bytes <= maxBytes ? { body } : { body: `${head}}`, dead: tooLarge(`${bytes} bytes`, maxBytes) };
}

function tooLarge(size: string, maxBytes: number): string {
  return `the payload is too large: ${size}, and MAX_PAYLOAD_MB allows ${maxBytes} bytes`;
}

/** Other schemas' keys can be any text, and the id goes into a header. */
function headerSafe(key: string): string {
  return /^[\w-]{1,64}$/u.test(key) ? key : createHash('sha256').update(key).digest('hex').slice(0, 32);
}

function spell(channelId: string, format: ChannelIdFormat): string {
  return format === 'hex' ? channelId.replaceAll('-', '') : channelId;
}
