import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { laneOf, wants } from '../../src/deliver/dispatcher.js';
import { echoes } from '../../src/deliver/verify.js';
import type { Notification, Webhook } from '../../src/types.js';

const webhook = (over: Partial<Webhook> = {}): Webhook => ({
  id: '1',
  endpoint: 'http://localhost/',
  token: null,
  secret: null,
  chatTypes: null,
  updateTypes: null,
  ordering: 'message',
  conflate: false,
  maxInFlight: 64,
  enabled: true,
  verified: true,
  failureNoted: false,
  awaited: false,
  deliverFrom: null, completeSince: null,
  ...over,
});
const about = (over: Partial<Notification> = {}): Notification => ({
  id: 'n',
  lsn: 1n,
  seq: 0,
  committedAt: 0,
  channelId: 'c1',
  messageId: 'm1',
  chatType: 'default',
  updateType: 'message_created',
  webhookIds: null,
  body: '{}',
  ...over,
});

describe('an endpoint wants', () => {
  test('nothing of what was committed before the position at which it begins, explicit requests neither', () => {
    const late = webhook({ deliverFrom: 10n });
    expect([9n, 10n, 11n].map((lsn) => wants(late, about({ lsn })))).toEqual([false, true, true]);
    expect(wants(late, about({ lsn: 9n, updateType: null, messageId: null, webhookIds: ['1'] }))).toBe(false);
  });

  test('everything when it names nothing', () => {
    for (const updateType of ['message_created', 'message_changed', 'message_deleted', null] as const)
      expect(wants(webhook(), about({ updateType }))).toBe(true);
    expect(wants(webhook(), about({ chatType: null }))).toBe(true);
  });

  test('only the chat types that it names', () => {
    const picky = webhook({ chatTypes: ['default', 'other'] });
    expect(wants(picky, about())).toBe(true);
    expect(wants(picky, about({ chatType: 'third' }))).toBe(false);
    // not known any more: rather told too much than lost
    expect(wants(picky, about({ chatType: null }))).toBe(true);
    expect(wants(picky, about({ chatType: 'third', updateType: null }))).toBe(false);
    expect(wants(webhook({ chatTypes: [] }), about())).toBe(false);
  });

  test('only the update types that it names, and explicit requests always', () => {
    const picky = webhook({ updateTypes: ['message_created'] });
    expect(wants(picky, about())).toBe(true);
    expect(wants(picky, about({ updateType: 'message_changed' }))).toBe(false);
    expect(wants(picky, about({ updateType: null, messageId: null }))).toBe(true);
    expect(wants(webhook({ updateTypes: [] }), about({ updateType: null }))).toBe(true);
  });

  test('nothing that is meant for another endpoint', () => {
    expect(wants(webhook(), about({ webhookIds: ['2'], updateType: null }))).toBe(false);
    expect(wants(webhook({ updateTypes: [] }), about({ webhookIds: ['1'], updateType: null }))).toBe(true);
  });

  test('of its own resync, too, only the channels of the chat types that it names', () => {
    const picky = webhook({ chatTypes: ['default'] });
    expect(wants(picky, about({ webhookIds: ['1'], updateType: null, messageId: null }))).toBe(true);
    expect(wants(picky, about({ webhookIds: ['1'], updateType: null, messageId: null, chatType: 'third' }))).toBe(false);
  });
});

describe('order is kept', () => {
  test('per message by default, per channel where that is asked for or no message is named', () => {
    expect(laneOf(webhook(), about())).toBe(laneOf(webhook(), about({ channelId: 'c2', updateType: 'message_deleted' })));
    expect(laneOf(webhook(), about())).not.toBe(laneOf(webhook(), about({ messageId: 'm2' })));
    const whole = webhook({ ordering: 'channel' });
    expect(laneOf(whole, about())).toBe(laneOf(whole, about({ messageId: 'm2' })));
    expect(laneOf(whole, about())).toBe(laneOf(whole, about({ messageId: null, updateType: null })));
    expect(laneOf(whole, about())).not.toBe(laneOf(whole, about({ channelId: 'c2' })));
    expect(laneOf(webhook(), about({ messageId: null }))).not.toBe(laneOf(webhook(), about({ messageId: null, channelId: 'c2' })));
  });

  test('without mixing up a message and a channel of the same id', () => {
    expect(laneOf(webhook(), about({ messageId: '7' }))).not.toBe(laneOf(webhook(), about({ messageId: null, channelId: '7' })));
  });
});

describe('an answer to a challenge', () => {
  const CHALLENGE = 'a1b2c3d4';

  test.each([
    CHALLENGE,
    ` ${CHALLENGE}\r\n`,
    `"${CHALLENGE}"`,
    `"${CHALLENGE}"\n`,
    `{"challenge":"${CHALLENGE}"}`,
    ` { "challenge" : "${CHALLENGE}", "more": 1 }\n`,
  ])('is right as %j', (body) => {
    expect(echoes(body, CHALLENGE)).toBe(true);
  });

  test.each([
    '',
    'ok',
    '""',
    '{}',
    'null',
    `x${CHALLENGE}`,
    `${CHALLENGE}x`,
    CHALLENGE.toUpperCase(),
    `'${CHALLENGE}'`,
    `["${CHALLENGE}"]`,
    `{"token":"${CHALLENGE}"}`,
    `{"challenge":["${CHALLENGE}"]}`,
    `{"challenge":null}`,
    `"\\"${CHALLENGE}\\""`,
    `{"challenge":" ${CHALLENGE}"}`,
    `<p>${CHALLENGE}</p>`,
    `{"type":"url_verification","challenge":"other"}`,
    CHALLENGE.slice(1),
  ])('is wrong as %j', (body) => {
    expect(echoes(body, CHALLENGE)).toBe(false);
  });

  test('may be a number in JSON where the challenge is made of digits, but only as text', () => {
    expect(echoes('12345678', '12345678')).toBe(true);
    expect(echoes('{"challenge":12345678}', '12345678')).toBe(false);
  });

  test('never throws, and is right only if it holds the challenge', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        if (echoes(body, CHALLENGE)) expect(body).toContain(CHALLENGE);
      }),
    );
  });
});
