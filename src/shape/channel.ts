import { isoTimestamp } from '../time.js';
import type { Row } from '../types.js';

/** A channel as the application serializes it: JSON text before its users, between users and messages, and after them. */
export interface ChannelFrame {
  readonly head: string;
  readonly tail: string;
}

/**
 * Keys in the application's order; nulls stay.
 * @param introduction as the chat type renders it
 * @param at when the rows were read: a timestamptz as text, UTC
 */
export function channelFrame(channel: Row, chatType: Row | null, introduction: string | null, at: string): ChannelFrame {
  const text = (row: Row | null, column: string): string | null => row?.[column] ?? null;
  const channelPath = text(channel, 'publish_path');
  const chatTypePath = text(chatType, 'publish_path');
  const time = text(channel, 'publish_time');
  const parts = {
    id: text(channel, 'id'),
    api_id: text(channel, 'api_id'),
    chat_type: text(chatType, 'name'),
    title: text(channel, 'title'),
    introduction,
    meta: { title: text(channel, 'meta_title'), description: text(channel, 'meta_description'), image: text(channel, 'meta_image') },
  };
  const more = {
    paths: { channel: channelPath, chat_type: chatTypePath },
    publish_path: joinPaths(chatTypePath ?? '', (channelPath ?? '').replace(/^\/+/u, '')),
    publish_time: time === null ? null : isoTimestamp(time),
    live: text(channel, 'live')?.startsWith('t') ?? null,
  };
  // The database's own text of the JSON, so that every digit stays.
  const extras = text(channel, 'extras') ?? 'null';
  return {
    head: `${JSON.stringify(parts).slice(0, -1)},"extras":${extras},${JSON.stringify(more).slice(1, -1)},"users":`,
    tail: `,"timestamp":${JSON.stringify(isoTimestamp(at))}}`,
  };
}

/** Python's os.path.join for a second part that does not begin with a slash. */
function joinPaths(first: string, second: string): string {
  return first === '' || first.endsWith('/') ? first + second : `${first}/${second}`;
}

/** One entry of the channel's users, by `api_id`. */
export function channelUser(user: Row, mediaUrl: string): string {
  return JSON.stringify({
    first_name: user['first_name'] ?? null,
    last_name: user['last_name'] ?? null,
    image: imageUrl(mediaUrl, user['image'] ?? ''),
    title: user['title'] ?? null,
  });
}

/** A stored file's address as Django gives it: percent-encoded, under MEDIA_URL; null for none. */
export function imageUrl(mediaUrl: string, path: string): string | null {
  if (path === '') return null;
  const segments = path.replaceAll('\\', '/').split('/').map(percentEncode).filter((segment) => segment !== '');
  const trailing = /[\\/]$/u.test(path) ? '/' : '';
  const absolute = /^([a-z][a-z0-9+.-]*:)?\/\/[^/]*|^[a-z][a-z0-9+.-]*:/iu.exec(mediaUrl)?.[0] ?? '';
  const base = mediaUrl.slice(absolute.length).split('/').filter((segment) => segment !== '');
  const resolved: string[] = [];
  for (const segment of [...base, ...segments]) {
    if (segment === '..') resolved.pop();
    else if (segment !== '.') resolved.push(segment);
  }
  return `${absolute}/${resolved.join('/')}${trailing}`;
}

/** What Python's quote leaves as it is, with the characters that Django adds: letters, digits and _.-~!*()' */
function percentEncode(segment: string): string {
  return encodeURIComponent(segment);
}
