import { describe, expect, test } from 'vitest';
import { mergeInto, netEffect, planParking, type StoredNote } from '../../src/deliver/conflate.js';
import type { Delivery, Note } from '../../src/deliver/delivery.js';
import type { UpdateType } from '../../src/types.js';

type Kind = 'created' | 'changed' | 'deleted' | 'channel';

function note(id: number, kind: Kind, { message = 'm', channel = 'c', repeated = false, replay = false } = {}): Note {
  const updateType: UpdateType | null = kind === 'channel' ? null : `message_${kind}`;
  const body = `{"type":"update_notification","chat_type":"\\"update_type\\":\\"${updateType}\\"","update_type":"${updateType}","message":{"content":"${id}"}}`;
  return { notificationId: String(id), lsn: BigInt(id), seq: 0, channelId: channel, messageId: kind === 'channel' ? null : message, updateType, repeated, replay, body };
}

const settled: string[] = [];
function delivery(of: Note, more: Partial<Delivery> = {}): Delivery {
  return {
    note: of, lane: 'l', direct: true, cameAt: 0, sentAt: 0, committedAt: 0, settle: () => settled.push(of.notificationId), begun: false, attempts: 0,
    firstAttemptAt: null, lastStatus: null, lastError: null, nextAttemptAt: null, stored: false, dead: false, reserved: 0, reservedLarge: 0, place: 0, ...more,
  };
}

const stored = (of: Note, begun = false): StoredNote => ({ ...of, lane: 'l', begun });
const told = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ note: { notificationId, updateType, body } }) => `${notificationId} ${updateType} ${/"content":"(\d+)"/u.exec(body)?.[1] ?? ''}`);

describe('the net effect of two', () => {
  test.each([
    ['created', 'changed', 'message_created'],
    ['created', 'deleted', 'nothing'],
    ['changed', 'changed', 'message_changed'],
    ['changed', 'deleted', 'message_deleted'],
    ['deleted', 'created', 'both'],
    ['deleted', 'changed', 'both'],
    ['created', 'created', 'both'],
    ['channel', 'changed', 'both'],
    ['changed', 'channel', 'both'],
    ['channel', 'channel', 'both'],
  ] as const)('%s and %s', (first, second, expected) => {
    const net = netEffect(note(1, first), note(2, second));
    expect(typeof net === 'string' ? net : net.updateType).toBe(expected);
  });

  test('bears the later one\'s id and text, with the kind of the net effect and nothing else changed', () => {
    expect(netEffect(note(1, 'created'), note(2, 'changed'))).toEqual({
      ...note(2, 'created'), body: note(2, 'changed').body.replace('"update_type":"message_changed","message"', '"update_type":"message_created","message"'),
    });
  });

  test('is a replay only if both are: nobody who passes replays over may miss what is live', () => {
    const marked = (earlier: boolean, later: boolean): unknown => netEffect(note(1, 'changed', { replay: earlier }), note(2, 'changed', { replay: later }));
    expect([marked(false, true), marked(true, false), marked(true, true)]).toMatchObject([{ replay: false }, { replay: false }, { replay: true }]);
  });

  test('there is none over channels and over messages', () => {
    expect(netEffect(note(1, 'created'), note(2, 'changed', { message: 'n' }))).toBe('both');
    expect(netEffect(note(1, 'created'), note(2, 'changed', { channel: 'd' }))).toBe('both');
  });

  test('of what the stream repeats, a deletion is told: the creation may have been received', () => {
    expect(netEffect(note(1, 'created', { repeated: true }), note(2, 'deleted'))).toMatchObject({ notificationId: '2', updateType: 'message_deleted' });
  });
});

describe('in memory', () => {
  test('one joins the last of its message, and both are settled when it is', () => {
    settled.length = 0;
    const waiting = [delivery(note(1, 'created')), delivery(note(2, 'created', { message: 'n' }))];
    const merged = mergeInto(waiting, delivery(note(3, 'changed'))) ?? [];
    expect(told(merged)).toEqual(['2 message_created 2', '3 message_created 3']);
    expect(settled).toEqual([]);
    merged[1]?.settle?.();
    expect(settled).toEqual(['1', '3']);
  });

  test('a creation and its deletion are gone, and settled', () => {
    settled.length = 0;
    expect(mergeInto([delivery(note(1, 'created'))], delivery(note(2, 'deleted')))).toEqual([]);
    expect(settled).toEqual(['1', '2']);
  });

  test('nothing passes what is about the channel as a whole', () => {
    expect(mergeInto([delivery(note(1, 'created')), delivery(note(2, 'channel'))], delivery(note(3, 'deleted')))).toBeNull();
  });
});

describe('with what is stored', () => {
  const plan = (rows: readonly StoredNote[], ...batch: Delivery[]): { remove: readonly string[]; park: string[] } => {
    const { remove, park } = planParking(rows, batch);
    return { remove, park: told(park) };
  };

  test('one takes the place of the row of its message', () => {
    expect(plan([stored(note(1, 'created'))], delivery(note(2, 'changed')), delivery(note(3, 'changed')))).toEqual({ remove: ['1'], park: ['3 message_created 3'] });
    expect(plan([stored(note(1, 'created'))], delivery(note(2, 'deleted')))).toEqual({ remove: ['1'], park: [] });
  });

  test('what an attempt has begun for stays, and those behind it collapse among themselves', () => {
    expect(plan([stored(note(1, 'created'), true)], delivery(note(2, 'changed')), delivery(note(3, 'deleted')))).toEqual({ remove: [], park: ['3 message_deleted 3'] });
    expect(plan([], delivery(note(1, 'created'), { begun: true }), delivery(note(2, 'changed')), delivery(note(3, 'deleted')))).toEqual({ remove: [], park: ['1 message_created 1', '3 message_deleted 3'] });
  });

  test('nothing passes what is about the channel as a whole', () => {
    expect(plan([stored(note(1, 'created')), stored(note(2, 'channel'))], delivery(note(3, 'deleted')))).toEqual({ remove: [], park: ['3 message_deleted 3'] });
  });

  test('what was stored for an endpoint that did not conflate collapses with nothing', () => {
    expect(plan([{ ...stored(note(1, 'created')), updateType: null }], delivery(note(2, 'deleted')))).toEqual({ remove: [], park: ['2 message_deleted 2'] });
  });

  test('read again, each finds what became of it: the same row, or a later one that stands for it', () => {
    const later = stored(note(2, 'created'));
    const again = { repeated: true };
    expect(plan([later], delivery(note(1, 'created', again)), delivery(note(2, 'changed', again)))).toEqual({ remove: [], park: ['2 message_created 2'] });
    expect(plan([{ ...later, begun: true }], delivery(note(1, 'created', again)), delivery(note(2, 'changed', again)))).toEqual({ remove: [], park: [] });
  });

  test('read again after its message has moved, one that collapsed into a row of before is not told beside that', () => {
    const again = { repeated: true, channel: 'now' };
    const row = stored(note(2, 'changed', { channel: 'before' }));
    expect(plan([row], delivery(note(1, 'changed', again)), delivery(note(2, 'changed', again)))).toEqual({ remove: [], park: [] });
  });
});
