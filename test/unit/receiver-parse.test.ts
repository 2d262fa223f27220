import { describe, expect, test } from 'vitest';
import { PayloadError, UnknownTypeError } from '../../src/receiver/errors.js';
import { parse } from '../../src/receiver/parse.js';

const message = { timestamp: '2018-10-16T17:23:49.000100Z', user: 'U', content: 'Hi' };
const created = { token: 't', type: 'update_notification', channel: 'c', chat_type: 'x', update_type: 'message_created', message };

function fault(body: unknown): string {
  try {
    parse(typeof body === 'string' ? body : JSON.stringify(body));
  } catch (error) {
    if (error instanceof PayloadError) return `${error.constructor.name} at '${error.field}': ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('parse', () => {
  test('takes every kind of payload, as text, as bytes and as an object, and keeps what it does not know', () => {
    const reactions = [{ timestamp: '2018-10-16T17:23:50Z', reaction: 'clap', user: null }];
    const full = { ...message, reactions, attachments: [{ title: 'A', image_width: 3 }, {}], args: ['a'], kwargs: { k: 'v', n: 1 }, later: 1 };
    for (const payload of [
      { token: 't', type: 'url_verification', challenge: 'abc' },
      created,
      { ...created, message: full, another: true },
      { ...created, chat_type: null },
      { ...created, message: { timestamp: 'x' } },
      { token: 't', type: 'update_notification', channel: 'c', chat_type: 'x' },
      { token: 't', type: 'update_notification', channel: 'c', chat_type: 'x', update_type: null, message: null },
      { token: 't', type: 'republish_request', channel: 'c', channel_data: '{}', chat_type: 'x' },
      { token: 't', type: 'unpublish_request', channel: 'c', channel_data: '{}', chat_type: 'x' },
      { token: 't', type: 'unpublish_request', channel: 'c', channel_data: null, chat_type: null },
      { ...created, message: { ...message, reactions: [{ reaction: '' }] } },
    ]) {
      expect(parse(JSON.stringify(payload))).toEqual(payload);
      expect(parse(Buffer.from(JSON.stringify(payload)))).toEqual(payload);
      expect(parse(payload)).toEqual(payload);
    }
  });

  test('names the field that is wrong, and says what it is and what it should be', () => {
    expect(fault('{"a')).toMatch(/^PayloadError at '': the body is not JSON: /u);
    expect(fault('[]')).toBe("PayloadError at '': the body is an array, not an object");
    expect(fault('null')).toBe("PayloadError at '': the body is null, not an object");
    expect(fault({ type: 'url_verification', challenge: 'x' })).toBe("PayloadError at 'token': token: missing, not a string");
    expect(fault({ token: 1, type: 'url_verification', challenge: 'x' })).toBe("PayloadError at 'token': token: a number, not a string");
    expect(fault({ token: 't', type: 'url_verification' })).toBe("PayloadError at 'challenge': challenge: missing, not a string");
    expect(fault({ token: 't', type: 'other' })).toBe('UnknownTypeError at \'type\': type: there is no "other"');
    expect(fault({ ...created, channel: undefined })).toBe("PayloadError at 'channel': channel: missing, not a string");
    expect(fault({ ...created, chat_type: undefined })).toBe("PayloadError at 'chat_type': chat_type: missing, not a string");
    expect(fault({ ...created, update_type: 'message_added' })).toBe(
      "PayloadError at 'update_type': update_type: a string, not message_created or message_changed or message_deleted",
    );
    expect(fault({ ...created, update_type: undefined })).toMatch("at 'update_type'");
    expect(fault({ ...created, message: undefined })).toBe("PayloadError at 'message': message: null, not an object");
    expect(fault({ ...created, message: {} })).toMatch("at 'message.timestamp'");
    expect(fault({ ...created, message: { ...message, content: 5 } })).toBe("PayloadError at 'message.content': message.content: a number, not a string");
    expect(fault({ ...created, message: { ...message, reactions: {} } })).toBe("PayloadError at 'message.reactions': message.reactions: an object, not an array");
    const reaction = { timestamp: 'x', reaction: 'y', user: 'z' };
    expect(fault({ ...created, message: { ...message, reactions: [reaction, { ...reaction, user: 1 }] } })).toMatch("at 'message.reactions[1].user'");
    expect(fault({ ...created, message: { ...message, attachments: ['x'] } })).toMatch("at 'message.attachments[0]'");
    expect(fault({ ...created, message: { ...message, args: [true] } })).toMatch("at 'message.args[0]': message.args[0]: a boolean, not a string");
    expect(fault({ ...created, message: { ...message, kwargs: [] } })).toMatch("at 'message.kwargs'");
    expect(fault({ token: 't', type: 'republish_request', channel: 'c', chat_type: 'x', channel_data: {} })).toMatch("at 'channel_data': channel_data: an object, not a string");
  });

  test('refuses text that is not UTF-8, and never shows a value that may be secret', () => {
    expect(() => parse(Buffer.from([0x7b, 0xff, 0x7d]))).toThrow(PayloadError);
    expect(fault({ token: ['hunter2'], type: 'x' })).not.toContain('hunter2');
    expect(() => parse({ token: 't', type: 'x' })).toThrow(UnknownTypeError);
  });
});
