import type { Payload } from '../receiver/payloads.js';
import type { Result } from '../receiver/receive.js';

const CONTENT_LIMIT = 160;

/** One request in one line, for people. */
export function inWords({ status, reason, repeat, replay, payload, id }: Result, at: Date): string {
  const outcome = status === 200 ? (repeat ? 'repeat' : '') : `answered ${status}: ${plain(reason)}`;
  const parts = [at.toISOString().slice(11, 23), payload === null ? 'refused' : kindOf(payload).padEnd(15), payload === null ? '' : about(payload), replay ? 'replay' : '', outcome, id === null ? '' : `id=${plain(id)}`];
  return parts.filter((part) => part !== '').join('  ');
}

/** One request in one line, for programs: all of it but the token. */
export function inJson({ status, reason, repeat, replay, payload, id }: Result, at: Date): string {
  return JSON.stringify({ at, id, status, ...(reason === '' ? {} : { reason }), repeat, ...(replay ? { replay } : {}), payload: payload === null ? null : { ...payload, token: undefined } });
}

function kindOf(payload: Payload): string {
  return payload.type === 'update_notification' ? (payload.update_type ?? payload.type) : payload.type;
}

function about(payload: Payload): string {
  if (payload.type === 'url_verification') return 'challenge answered';
  const channel = `${plain(payload.chat_type ?? 'unknown chat type')} ${plain(payload.channel)}`;
  if (payload.type !== 'update_notification') return `${channel}  ${payload.channel_data === null ? 'without channel_data' : `channel_data of ${payload.channel_data.length} characters`}`;
  const message = payload.message ?? null;
  if (message === null) return channel;
  const { user, content = '', reactions = [], attachments = [], args = [], kwargs = {} } = message;
  const text = content.length > CONTENT_LIMIT ? `${content.slice(0, CONTENT_LIMIT)}…` : content;
  const extras = [
    ...reactions.map((reaction) => `:${plain(reaction.reaction)}:`),
    ...(attachments.length > 0 ? [`${attachments.length} attached`] : []),
    ...args.map(plain),
    ...Object.entries(kwargs).map(([key, value]) => `${plain(key)}=${plain(JSON.stringify(value))}`),
  ];
  return [channel, `${plain(user ?? 'nobody')}: ${plain(text)}`, ...(extras.length > 0 ? [`[${extras.join(' ')}]`] : [])].join('  ');
}

/** On one line, and nothing that a terminal would obey. */
function plain(text: string): string {
  return text.replaceAll(/\s+/gu, ' ').replaceAll(/[\p{Cc}\p{Cs}\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);
}
