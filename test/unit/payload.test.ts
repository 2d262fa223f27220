import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { channelNotification, messageNotification, notificationId, type Origin } from '../../src/shape/payload.js';

const UUID = { channelIdFormat: 'uuid', maxPayloadBytes: 1_000 } as const;
const HEX = { ...UUID, channelIdFormat: 'hex' } as const;
const CHANNEL = '0f8fad5b-d9cb-469f-a165-70867728950e';
const origin: Origin = { systemId: '7000000000000000001', commitLsn: 0x16_b374_d848n, committedAt: 1_539_710_629_000, part: null };
const about = {
  channelId: CHANNEL,
  chatType: 'default',
  messageId: '7',
  updateType: 'message_created',
  message: '{"timestamp":"now","content":"ü \\"x\\""}',
} as const;

function id([system, commitLsn, place]: readonly [bigint, bigint, number]): string {
  return notificationId({ systemId: String(system), commitLsn, committedAt: 0, part: null }, String(place));
}

describe('the id of a notification', () => {
  test('is the same whenever the transaction is read again, and names cluster, commit and place', () => {
    expect(messageNotification(origin, 3, UUID, about).id).toBe(
      messageNotification({ ...origin, committedAt: 0 }, 3, HEX, { ...about, chatType: null, message: '{}' }).id,
    );
    const first = messageNotification(origin, 3, UUID, about).id;
    for (const other of [
      messageNotification({ ...origin, systemId: '7000000000000000002' }, 3, UUID, about),
      messageNotification({ ...origin, commitLsn: origin.commitLsn + 1n }, 3, UUID, about),
      messageNotification(origin, 4, UUID, about),
      channelNotification(origin, 3, 'uuid', { channelId: CHANNEL, chatType: null, webhookIds: null }),
    ])
      expect(other.id).not.toBe(first);
  });

  test('where several share the messages, names the message instead of the place, which differs between them', () => {
    const shared: Origin = { ...origin, part: 0 };
    const first = messageNotification(shared, 3, UUID, about).id;
    expect(messageNotification(shared, 8, UUID, about).id).toBe(first);
    for (const other of [
      messageNotification(shared, 3, UUID, { ...about, messageId: 'another' }),
      messageNotification(shared, 3, UUID, { ...about, updateType: 'message_deleted' }),
      messageNotification({ ...shared, part: 1 }, 3, UUID, about),
      messageNotification(origin, 3, UUID, about),
      channelNotification(shared, 0, 'uuid', { channelId: `0-${about.messageId}`, chatType: null, webhookIds: null }),
    ])
      expect(other.id).not.toBe(first);
    expect(messageNotification(shared, 3, UUID, { ...about, messageId: 'a key: ü' }).id).toMatch(/^[\w-]+$/u);
  });

  test('differs between the channels that one truncate or resync names', () => {
    const ids = ['a', 'b', 'c'].map((channelId) => channelNotification(origin, 0, 'uuid', { channelId, chatType: null, webhookIds: null }).id);
    expect(new Set(ids).size).toBe(3);
  });

  test('never collides, and holds nothing that a header could not carry', () => {
    const part = fc.tuple(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat());
    fc.assert(
      fc.property(part, part, (a, b) => {
        expect(id(a)).toMatch(/^[\w-]+$/u);
        expect(id(a) === id(b)).toBe(String(a) === String(b));
      }),
    );
  });
});

describe('the body of a notification', () => {
  test('about a message has its keys in the order of the application', () => {
    expect(messageNotification(origin, 3, UUID, about).body).toBe(
      `{"type":"update_notification","channel":"${CHANNEL}","chat_type":"default","update_type":"message_created","message":{"timestamp":"now","content":"ü \\"x\\""}}`,
    );
  });

  test('about a channel says no more than which', () => {
    expect(channelNotification(origin, 3, 'uuid', { channelId: CHANNEL, chatType: 'default', webhookIds: null }).body).toBe(
      `{"type":"update_notification","channel":"${CHANNEL}","chat_type":"default"}`,
    );
  });

  test('spells the channel without hyphens where that is asked for, and nothing else changes', () => {
    const hex = '0f8fad5bd9cb469fa16570867728950e';
    const note = messageNotification(origin, 3, HEX, about);
    expect(JSON.parse(note.body)).toMatchObject({ channel: hex });
    expect(note.channelId).toBe(CHANNEL);
    expect(JSON.parse(channelNotification(origin, 3, 'hex', { channelId: CHANNEL, chatType: null, webhookIds: null }).body)).toMatchObject({
      channel: hex,
      chat_type: null,
    });
  });
});

test('what delivery needs to know stands beside the body', () => {
  expect(messageNotification(origin, 3, UUID, about)).toMatchObject({
    lsn: origin.commitLsn,
    seq: 3,
    committedAt: origin.committedAt,
    channelId: CHANNEL,
    messageId: '7',
    chatType: 'default',
    updateType: 'message_created',
    webhookIds: null,
  });
  expect(channelNotification(origin, 4, 'uuid', { channelId: CHANNEL, chatType: 'default', webhookIds: ['9'] })).toMatchObject({
    lsn: origin.commitLsn,
    seq: 4,
    channelId: CHANNEL,
    messageId: null,
    chatType: 'default',
    updateType: null,
    webhookIds: ['9'],
  });
});
