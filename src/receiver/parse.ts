import { PayloadError, UnknownTypeError } from './errors.js';
import type { Payload } from './payloads.js';

const UPDATE_TYPES = ['message_created', 'message_changed', 'message_deleted'];

type Fields = Readonly<Record<string, unknown>>;

/**
 * The payload in a request's body. Keys that this version does not know stay in it.
 * @param body as it came, or what JSON.parse made of it
 * @throws {PayloadError} naming the field that is not as it should be; {@link UnknownTypeError} for a type of a later version
 */
export function parse(body: string | Uint8Array | object): Payload {
  const payload = typeof body === 'string' || body instanceof Uint8Array ? parseJson(body) : body;
  checkPayload(payload);
  return payload;
}

export function parseJson(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new PayloadError('', `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function checkPayload(payload: unknown): asserts payload is Payload {
  const fields = object(payload, '');
  string(fields, 'token');
  const type = string(fields, 'type');
  switch (type) {
    case 'url_verification':
      string(fields, 'challenge');
      return;
    case 'update_notification':
      checkChannel(fields);
      checkUpdate(fields);
      return;
    case 'republish_request':
    case 'unpublish_request':
      checkChannel(fields);
      if (fields['channel_data'] !== null) string(fields, 'channel_data');
      return;
    default:
      throw new UnknownTypeError('type', `there is no ${JSON.stringify(type.slice(0, 100))}`);
  }
}

function checkChannel(fields: Fields): void {
  string(fields, 'channel');
  if (fields['chat_type'] !== null) string(fields, 'chat_type');
}

/** With both or with neither: the application itself sends null where the bridge leaves out. */
function checkUpdate(fields: Fields): void {
  const [updateType, message] = [fields['update_type'] ?? null, fields['message'] ?? null];
  if (updateType === null && message === null) return;
  if (typeof updateType !== 'string' || !UPDATE_TYPES.includes(updateType)) throw wrong('update_type', UPDATE_TYPES.join(' or '), updateType);
  checkMessage(object(message, 'message'));
}

function checkMessage(message: Fields): void {
  string(message, 'timestamp', 'message.');
  for (const key of ['user', 'content']) if (message[key] !== undefined) string(message, key, 'message.');
  each(message, 'reactions', (reaction, path) => {
    const fields = object(reaction, path);
    string(fields, 'reaction', `${path}.`);
    for (const key of ['timestamp', 'user']) if ((fields[key] ?? null) !== null) string(fields, key, `${path}.`);
  });
  each(message, 'attachments', object);
  each(message, 'args', (name, path) => {
    if (typeof name !== 'string') throw wrong(path, 'a string', name);
  });
  if (message['kwargs'] !== undefined) object(message['kwargs'], 'message.kwargs');
}

function each(message: Fields, key: string, check: (item: unknown, path: string) => void): void {
  const list = message[key];
  if (list === undefined) return;
  if (!Array.isArray(list)) throw wrong(`message.${key}`, 'an array', list);
  list.forEach((item, index) => check(item, `message.${key}[${index}]`));
}

function object(value: unknown, path: string): Fields {
  if (!isObject(value)) throw wrong(path, 'an object', value);
  return value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function string(fields: Fields, key: string, path = ''): string {
  const value = fields[key];
  if (typeof value !== 'string') throw wrong(`${path}${key}`, 'a string', value);
  return value;
}

/** Says of what kind it is, not what it is: that may be a secret. */
function wrong(field: string, expected: string, value: unknown): PayloadError {
  return new PayloadError(field, `${field === '' ? 'the body is ' : ''}${kindOf(value)}, not ${expected}`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
