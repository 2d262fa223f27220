import { describe, expect, test } from 'vitest';
import { NO_CHILDREN } from '../../src/shape/coalesce.js';
import type { Output } from '../../src/shape/shaper.js';
import { bench, body, notifications, summary, transaction } from './bench.js';
import { control, insert, kwarg, message, reaction, remove, transactionOf, truncate, update } from './changes.js';

describe('a new message', () => {
  test('is told with its children as of its commit, and nothing is read for it', async () => {
    const { source, shape, lookups } = bench();
    const outputs = await shape(
      0,
      transaction(5, insert('message', message('1')), insert('reaction', reaction('10', '1', { argument_id: 'a1' })), insert('kwarg', kwarg('20', '1'))),
    );
    expect(summary(outputs)).toEqual(['5 message_created 1']);
    const [note] = notifications(outputs);
    expect(body(note)).toEqual({
      type: 'update_notification',
      channel: 'c1',
      chat_type: 'default',
      update_type: 'message_created',
      message: { timestamp: '2018-10-16T17:23:49.000100Z', user: 'USER1', content: 'text 1', args: ['first'], kwargs: { k: 'v' } },
    });
    expect(note).toMatchObject({ lsn: 0x500n, channelId: 'c1', messageId: '1', chatType: 'default', updateType: 'message_created', webhookIds: null });
    expect(source.reads).toEqual([]);
    expect(lookups).toEqual([]);
  });

  test('of a transaction that comes in parts is read, because children can be in other parts', async () => {
    const { source, shape } = bench();
    source.store('1', {}, { children: { kwarg: [kwarg('20', '1')] } });
    for (const over of [
      { part: 0, final: false },
      { part: 1, final: true },
    ]) {
      const outputs = await shape(0, transactionOf(5, [insert('message', message('1'))], over));
      expect(body(notifications(outputs)[0])).toMatchObject({ update_type: 'message_created', message: { kwargs: { k: 'v' } } });
    }
    expect(source.reads).toEqual([['1'], ['1']]);
  });

  test('names users, channels and chat types that were written, changed or deleted in its own transaction', async () => {
    const { shape, lookups, anomalies } = bench();
    const outputs = await shape(
      0,
      transaction(
        5,
        insert('chatType', { id: 't9', name: 'fresh' }),
        insert('channel', { id: 'c9', chat_type_id: 't9' }),
        insert('user', { id: 'u9', api_id: 'USER9' }),
        insert('message', message('1', { channel_id: 'c9', user_id: 'u9' })),
        remove('message', message('2', { channel_id: 'c8', user_id: 'u8' })),
        remove('user', { id: 'u8', api_id: 'USER8' }),
        remove('channel', { id: 'c8', chat_type_id: 't8' }),
        remove('chatType', { id: 't8', name: 'gone' }),
      ),
    );
    expect(notifications(outputs).map(body)).toMatchObject([
      { chat_type: 'fresh', message: { user: 'USER9' } },
      { chat_type: 'gone', message: { user: 'USER8' } },
    ]);
    expect(lookups).toEqual([]);
    expect(anomalies).toEqual([]);
  });

  test('in a channel that nobody knows is told all the same, without a chat type, and a person hears of it', async () => {
    const { shape, anomalies } = bench();
    const outputs = await shape(0, transaction(5, insert('message', message('1', { channel_id: 'c404', user_id: 'u404' }))));
    expect(body(notifications(outputs)[0])).toEqual({
      type: 'update_notification',
      channel: 'c404',
      chat_type: null,
      update_type: 'message_created',
      message: { timestamp: '2018-10-16T17:23:49.000100Z', content: 'text 1' },
    });
    expect(anomalies).toEqual(['unknown_channel']);
  });
});

test('a large transaction is told a slice at a time, in order; what a read failed for is told later, and nothing twice', async () => {
  const { source, shaper } = bench();
  const ids = Array.from({ length: 2_500 }, (_, index) => String(index));
  for (const id of ids) source.store(id);
  const large = transaction(5, ...ids.map((id) => update('message', message(id), message(id))));
  const shaping = shaper.take([{ transaction: large, entry: '5' }], '7');
  const told: string[][] = [];
  const next = async (): Promise<void> => {
    const outputs = await shaper.shape(shaping, 0);
    told.push(notifications(outputs).map(({ messageId }) => messageId ?? ''));
  };
  await next();
  source.failures = 1;
  await expect(next()).rejects.toThrow('the connection broke');
  while (!shaping.done) await next();
  expect(told.length).toBeGreaterThan(2);
  expect(Math.max(...told.map((slice) => slice.length), ...source.reads.map((read) => read.length))).toBeLessThan(ids.length);
  expect(told.flat()).toEqual(ids);
});

describe('a changed message', () => {
  test('is told with its children as they are, read from the database', async () => {
    const { source, shape } = bench();
    source.store('1', {}, { maintained: true, children: { reaction: [reaction('10', '1')] } });
    const outputs = await shape(0, transaction(5, update('message', message('1'), message('1'))));
    expect(summary(outputs)).toEqual(['5 message_changed 1']);
    expect(body(notifications(outputs)[0])).toMatchObject({ message: { content: 'text 1', reactions: [{ reaction: 'heart' }] } });
    expect(source.reads).toEqual([['1']]);
  });

  test('has what the WAL left out from the database', async () => {
    const { source, shape } = bench();
    source.store('1', { text: 'a very long text' });
    const outputs = await shape(0, transaction(5, update('message', null, message('1', { text: undefined }))));
    expect(body(notifications(outputs)[0])).toMatchObject({ message: { content: 'a very long text' } });
  });

  test('never goes back to an older state once a newer one was told', async () => {
    const { source, shape } = bench();
    source.store('1', { text: 'newest' }, { children: { kwarg: [kwarg('20', '1')] } });
    const outputs = await shape(
      0,
      transaction(5, insert('kwarg', kwarg('20', '1'))),
      transaction(6, update('message', message('1'), message('1', { text: 'older' }))),
      transaction(7, update('message', message('1', { text: 'older' }), message('1', { text: 'newest' }))),
    );
    expect(notifications(outputs).map(body)).toMatchObject([5, 6, 7].map(() => ({ message: { content: 'newest', kwargs: { k: 'v' } } })));
  });

  test('that is gone by now is told as its commit left it', async () => {
    const { shape, anomalies } = bench();
    const outputs = await shape(
      0,
      transaction(5, update('message', message('1'), message('1', { text: 'after' }))),
      transaction(6, remove('message', message('1', { text: 'after' }))),
    );
    expect(notifications(outputs).map(body)).toMatchObject([
      { update_type: 'message_changed', message: { content: 'after' } },
      { update_type: 'message_deleted', message: { content: 'after' } },
    ]);
    expect(anomalies).toEqual([]);
  });

  test('that is gone by now, and of which only children were written, is told as it was told last, never older', async () => {
    for (const text of ['short', 'long '.repeat(2_000)]) {
      const { shape } = bench();
      await shape(0, transaction(5, update('message', message('1'), message('1'))));
      await shape(0, transaction(6, update('message', message('1'), message('1', { text }))));
      const notes = notifications(await shape(0, transaction(7, insert('kwarg', kwarg('20', '1')))));
      // a long text need not be remembered
      if (text === 'short') expect(notes.length).toBe(1);
      for (const note of notes) expect(body(note)).toMatchObject({ message: { content: text } });
    }
  });

  test('that is gone by now, and of which only children were written, is left to its deletion', async () => {
    const { shape, anomalies } = bench();
    expect(await shape(0, transaction(5, insert('kwarg', kwarg('20', '1'))))).toEqual([]);
    expect(anomalies).toEqual([]);
  });
});

describe('a message of which only children were written', () => {
  test('waits where the application keeps its serialized column, and goes out once with the UPDATE that follows', async () => {
    const { source, shape, shaper } = bench();
    source.store('1', {}, { maintained: true });
    expect(summary(await shape(1_000, transaction(5, insert('reaction', reaction('10', '1')))))).toEqual(['5 hold']);
    expect(shaper.nextDueAt).toBe(1_250);
    source.store('1', {}, { maintained: true, children: { reaction: [reaction('10', '1')] } });
    const outputs = await shape(1_010, transaction(6, update('message', message('1'), message('1', { serialized: '{}' }))));
    expect(summary(outputs)).toEqual(['5 release', '6 message_changed 1']);
    expect(body(notifications(outputs)[0])).toMatchObject({ message: { reactions: [{ reaction: 'heart' }] } });
    expect(shaper.nextDueAt).toBe(null);
    expect(await shape(5_000)).toEqual([]);
  });

  test('goes out by itself when the time is up, under its own id, with the state of then', async () => {
    const { source, shape, shaper } = bench();
    source.store('1', {}, { maintained: true });
    const childOnly = transaction(5, insert('reaction', reaction('10', '1')));
    await shape(1_000, childOnly);
    expect(await shape(1_249)).toEqual([]);
    source.store('1', { text: 'as of then' }, { maintained: true });
    const outputs = await shape(1_250);
    expect(summary(outputs)).toEqual(['5 message_changed 1', '5 release']);
    expect(body(notifications(outputs)[0])).toMatchObject({ message: { content: 'as of then' } });
    expect(shaper.nextDueAt).toBe(null);

    // without the wait it would have had the same id
    const unmaintained = bench();
    unmaintained.source.store('1');
    expect(notifications(await unmaintained.shape(0, childOnly)).map(({ id }) => id)).toEqual(notifications(outputs).map(({ id }) => id));
  });

  test('waits with its UPDATE already in the same batch, and longer than one that is not of its message', async () => {
    const { source, shape } = bench();
    for (const id of ['1', '2']) source.store(id, {}, { maintained: true });
    expect(
      summary(
        await shape(
          0,
          transaction(5, insert('kwarg', kwarg('20', '1'))),
          transaction(6, insert('kwarg', kwarg('21', '2'))),
          transaction(7, update('message', message('1'), message('1'))),
        ),
      ),
    ).toEqual(['5 hold', '6 hold', '5 release', '7 message_changed 1']);
    expect(summary(await shape(250))).toEqual(['6 message_changed 2', '6 release']);
  });

  test('is let go by its deletion', async () => {
    const { source, shape } = bench();
    source.store('1', {}, { maintained: true });
    await shape(0, transaction(5, insert('kwarg', kwarg('20', '1'))));
    source.messages.clear();
    expect(summary(await shape(1, transaction(6, remove('kwarg', kwarg('20', '1')), remove('message', message('1')))))).toEqual([
      '5 release',
      '6 message_deleted 1',
    ]);
  });

  test('does not wait where nobody keeps the column, nor with SETTLE_MS=0, and goes out at once when the bridge stops', async () => {
    const plain = bench();
    plain.source.store('1');
    expect(summary(await plain.shape(0, transaction(5, insert('kwarg', kwarg('20', '1')))))).toEqual(['5 message_changed 1']);
    const off = bench({ settleMs: 0 });
    off.source.store('1', {}, { maintained: true });
    expect(summary(await off.shape(0, transaction(5, insert('kwarg', kwarg('20', '1')))))).toEqual(['5 message_changed 1']);
    const stopping = bench();
    stopping.source.store('1', {}, { maintained: true });
    await stopping.shape(0, transaction(5, insert('kwarg', kwarg('20', '1'))));
    expect(summary(await stopping.shape(Number.POSITIVE_INFINITY, transaction(6, insert('kwarg', kwarg('21', '1')))))).toEqual([
      '6 hold',
      '5 message_changed 1',
      '5 release',
      '6 message_changed 1',
      '6 release',
    ]);
  });

  test('is forgotten when another history begins', async () => {
    const { source, shape, shaper } = bench();
    source.store('1', {}, { maintained: true });
    await shape(0, transaction(5, insert('kwarg', kwarg('20', '1'))));
    shaper.reset();
    expect(shaper.nextDueAt).toBe(null);
    expect(await shape(9_999)).toEqual([]);
  });
});

describe('a message that is moved to another channel', () => {
  test('is deleted in the old one, as it was, and created in the new one', async () => {
    const { source, shape } = bench();
    source.store('1', { channel_id: 'c2', text: 'after' }, { children: { kwarg: [kwarg('20', '1')] } });
    const outputs = await shape(0, transaction(5, update('message', message('1', { text: 'before' }), message('1', { channel_id: 'c2', text: 'after' }))));
    expect(summary(outputs)).toEqual(['5 message_deleted 1', '5 message_created 1']);
    const [deleted, created] = notifications(outputs);
    expect(body(deleted)).toMatchObject({ channel: 'c1', message: { content: 'before' } });
    expect(body(deleted)).not.toHaveProperty('message.kwargs');
    expect(body(created)).toMatchObject({ channel: 'c2', message: { content: 'after', kwargs: { k: 'v' } } });
    expect(deleted?.id).not.toBe(created?.id);
  });
});

describe('a deleted message', () => {
  test('is told as it was, without children, and nothing is read for it', async () => {
    const { source, shape } = bench();
    const outputs = await shape(0, transaction(5, remove('kwarg', kwarg('20', '1')), remove('message', message('1'))));
    expect(notifications(outputs).map(body)).toEqual([
      {
        type: 'update_notification',
        channel: 'c1',
        chat_type: 'default',
        update_type: 'message_deleted',
        message: { timestamp: '2018-10-16T17:23:49.000100Z', user: 'USER1', content: 'text 1' },
      },
    ]);
    expect(source.reads).toEqual([]);
  });

  test('of which the WAL does not show the old row cannot be told, and a person hears of it', async () => {
    const { shape, anomalies } = bench();
    expect(notifications(await shape(0, transaction(5, remove('message', { id: '1' }))))).toEqual([]);
    expect(anomalies).toEqual(['no_old_row']);
  });
});

test('every notification of a transaction has an id and a place of its own', async () => {
  const { source, shape } = bench();
  for (const id of ['1', '2', '3']) source.store(id);
  const outputs = await shape(
    0,
    transaction(
      5,
      update('kwarg', kwarg('20', '1'), kwarg('20', '2')),
      update('message', message('4'), message('5')),
      update('message', message('6'), message('6', { channel_id: 'c2' })),
      insert('message', message('7')),
      truncate('reaction'),
      control({ request_update: 'c1' }),
      control({ resync: '9' }),
      insert('message', message('8')),
    ),
  );
  const all = notifications(outputs);
  expect(all.map(({ updateType, messageId, channelId }) => `${updateType ?? 'channel'} ${messageId ?? channelId}`)).toEqual([
    'message_changed 1',
    'message_changed 2',
    'message_deleted 4',
    'message_created 5',
    'message_deleted 6',
    'message_created 6',
    'message_created 7',
    'channel c1',
    'channel c2',
    'channel c1',
    'channel c1',
    'channel c2',
    'message_created 8',
  ]);
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  expect(all.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq).toSorted((a, b) => a - b));
});

describe('channels as a whole', () => {
  test('are told of a truncate, each', async () => {
    const { shape } = bench({ channelIdFormat: 'hex' });
    const notes = notifications(await shape(0, transaction(5, truncate('attachment'))));
    expect(notes.map(body)).toEqual(['c1', 'c2'].map((channel) => ({ type: 'update_notification', channel, chat_type: 'default' })));
    expect(notes.every(({ updateType, messageId, webhookIds }) => updateType === null && messageId === null && webhookIds === null)).toBe(true);
  });

  test('are told to one endpoint by a resync of it, to all by a resync of all, and one of them by a request', async () => {
    const { shape } = bench();
    const notes = notifications(await shape(0, transaction(5, control({ resync: '9' }), control({ resync: '*' }), control({ request_update: 'c2' }))));
    expect(notes.map(({ channelId, webhookIds }) => [channelId, webhookIds?.join() ?? null])).toEqual([
      ['c1', '9'],
      ['c2', '9'],
      ['c1', null],
      ['c2', null],
      ['c2', null],
    ]);
  });

  test('other requests are handed on', async () => {
    const { shape } = bench();
    expect(await shape(0, transaction(5, control({ verify: '3' })))).toEqual([{ kind: 'control', entry: '5', request: { verify: '3' } }]);
  });
});

describe('a replay', () => {
  const asked = (id: string, to?: readonly string[]): ReturnType<typeof control> => control({ replay: id, ...(to === undefined ? {} : { to }) });

  test('tells a message as it is now, marked, to whom it was asked for; one that is gone is not told', async () => {
    const { shape, source } = bench();
    source.messages.set('m1', { row: message('m1', { text: 'now' }), maintained: true, children: NO_CHILDREN });
    const notes = notifications(await shape(0, transaction(5, asked('m1'), asked('gone'), asked('m1', ['3', '7']))));
    expect(notes).toMatchObject([{ messageId: 'm1', updateType: 'message_changed', replay: true, webhookIds: null }, { replay: true, webhookIds: ['3', '7'] }]);
    expect(new Set(notes.map(({ id }) => id)).size).toBe(2);
    expect(notes[0]?.body).toContain('"content":"now"');
  });

  test('goes behind a change of the message\'s children that waits, which is told with it', async () => {
    const { shape, source } = bench();
    source.messages.set('m1', { row: message('m1'), maintained: true, children: NO_CHILDREN });
    expect(summary(await shape(0, transaction(1, insert('reaction', { id: 'r1', message_id: 'm1' }))))).toEqual(['1 hold']);
    expect(summary(await shape(1, transaction(2, asked('m1'))))).toEqual(['1 message_changed m1', '1 release', '2 message_changed m1']);
    expect(summary(await shape(1_000))).toEqual([]);
  });
});

describe('an instance that shares the messages with others', () => {
  const own = async (messageIds: readonly string[]): Promise<readonly string[]> => messageIds.filter((id) => id !== 'm2');
  const everything = transaction(5, truncate('reaction'), control({ request_update: 'c2' }), control({ resync: '*' }), control({ verify: '3' }), control({ retry: '3' }), insert('message', message('m1')));

  test('tells of what is no message\'s if it is the first; what is parked each of them looks after', async () => {
    const kinds = async (first: boolean): Promise<string[]> => summary(await bench({ shard: { first, own } }).shape(0, everything));
    expect(await kinds(true)).toEqual(['5 channel c1', '5 channel c2', '5 channel c2', '5 channel c1', '5 channel c2', '5 control', '5 control', '5 message_created m1']);
    expect(await kinds(false)).toEqual(['5 control', '5 message_created m1']);
  });

  test('tells once more those that are its own', async () => {
    const { shape, source } = bench({ shard: { first: false, own } });
    for (const id of ['m1', 'm2']) source.messages.set(id, { row: message(id), maintained: false, children: NO_CHILDREN });
    const notes = notifications(await shape(0, transaction(5, control({ replay: 'm2' }), control({ replay: 'm1' }))));
    expect(notes.map(({ id, messageId }) => [id.split('-').slice(2).join('-'), messageId])).toEqual([['replay-0-m1', 'm1']]);
  });

  test('gives no id that another one gives too, whatever they see of the transaction', async () => {
    const ids = async (first: boolean, ...changes: Parameters<typeof transaction>[1][]): Promise<string[]> => notifications(await bench({ shard: { first, own } }).shape(0, transaction(5, ...changes))).map(({ id }) => id);
    const one = await ids(true, insert('message', message('m1')), control({ request_update: 'c1' }), insert('message', message('m3')));
    const other = await ids(false, insert('message', message('m2')), control({ request_update: 'c1' }));
    expect(new Set([...one, ...other]).size).toBe(4);
    expect(await ids(false, insert('message', message('m1')))).toEqual(one.slice(0, 1));
  });
});

test('a read that fails leaves everything as it was: the same call gives the same again', async () => {
  const batch = [
    transaction(6, update('user', null, { id: 'u1', api_id: 'RENAMED' }), insert('message', message('2')), insert('kwarg', kwarg('21', '1'))),
    transaction(7, update('message', message('3'), message('3', { channel_id: 'c2' })), remove('message', message('4'))),
  ];
  const run = async (failures: number): Promise<readonly Output<string>[]> => {
    const { source, shape, shaper } = bench();
    for (const id of ['1', '3']) source.store(id, {}, { maintained: true });
    await shape(0, transaction(5, insert('kwarg', kwarg('20', '1'))));
    source.failures = failures;
    for (let n = 0; n < failures; n += 1) {
      await expect(shape(300, ...batch)).rejects.toThrow('the connection broke');
      expect(shaper.nextDueAt).toBe(250);
    }
    const first = await shape(300, ...batch);
    return [...first, ...(await shape(1_000))];
  };
  const undisturbed = await run(0);
  expect(summary(undisturbed)).toEqual([
    '6 message_created 2',
    '6 hold',
    '7 message_deleted 3',
    '7 message_created 3',
    '7 message_deleted 4',
    '5 message_changed 1',
    '5 release',
    '6 message_changed 1',
    '6 release',
  ]);
  expect(await run(3)).toEqual(undisturbed);
});

test('an announcement of all channels comes a thousand at a time, at its place, and goes on where a read failed', async () => {
  const { source, shaper } = bench();
  source.channels = Array.from({ length: 2_500 }, (_item, index) => `c${String(index).padStart(5, '0')}`);
  const work = transaction(5, insert('message', message('1')), control('{"resync":"7"}'), insert('message', message('2')));
  const shaping = shaper.take([{ transaction: work, entry: '5' }], '7');
  const slices: Output<string>[][] = [];
  const places: (string | null)[] = [];
  while (!shaping.done) {
    if (slices.length === 2) source.channelFailures = 1;
    const slice = await shaper.shape(shaping, 0).catch(() => []);
    slices.push([...slice]);
    places.push(shaping.channel);
  }
  expect(slices.map((slice) => slice.length)).toEqual([1, 1_000, 0, 1_000, 500, 1]);
  expect(places).toEqual([null, 'c00999', 'c00999', 'c01999', null, null]);
  const told = notifications(slices.flat());
  expect(told.filter(({ messageId }) => messageId === null).map(({ channelId }) => channelId)).toEqual(source.channels);
  expect(told.map(({ messageId }) => messageId).filter((id) => id !== null)).toEqual(['1', '2']);
  expect(told.every(({ messageId, webhookIds }) => (messageId === null ? webhookIds?.join() === '7' : webhookIds === null))).toBe(true);
});

test('a payload over the limit is dead, and keeps all but what makes it so', async () => {
  const { shape } = bench({ maxPayloadBytes: 1_000 });
  const outputs = await shape(0, transaction(5, insert('message', message('1', { text: 'ü'.repeat(500) })), insert('message', message('2', { text: 'u'.repeat(500) }))));
  expect(notifications(outputs)).toMatchObject([
    { messageId: '1', body: '{"type":"update_notification","channel":"c1","chat_type":"default","update_type":"message_created"}', dead: expect.stringMatching(/^the payload is too large: 11\d\d bytes, and MAX_PAYLOAD_MB allows 1000 bytes$/u) as string },
    { messageId: '2' },
  ]);
  expect(notifications(outputs)[1]?.dead).toBeUndefined();
});

test('no more texts are read at once than a few megabytes of them, whatever one transaction touches', async () => {
  const { source, shaper } = bench({ maxPayloadBytes: 8_000_000, settleMs: 0 });
  const ids = Array.from({ length: 12 }, (_item, index) => String(index + 1));
  for (const id of ids) source.store(id, { text: 'x'.repeat(1_500_000) });
  const large = transaction(5, ...ids.map((id) => insert('reaction', reaction(`1${id}`, id))));
  const shaping = shaper.take([{ transaction: large, entry: '5' }], '7');
  const told: Output<string>[] = [];
  while (!shaping.done) told.push(...(await shaper.shape(shaping, 0)));
  expect(notifications(told).map(({ messageId }) => messageId)).toEqual(ids);
  // Two by two, until so few are left that nobody asks.
  expect(source.reads).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
});

describe('a change of children alone, told where its message is when it is read', () => {
  const created = (outputs: readonly Output<string>[]): unknown[] => notifications(outputs).filter(({ updateType }) => updateType === 'message_created').map(({ channelId, foretold }) => [channelId, foretold]);
  const moves = (xid: number, from: string, to: string): ReturnType<typeof transaction> => transaction(xid, update('message', message('1', { channel_id: from }), message('1', { channel_id: to })));

  test('foretells that the message comes there', async () => {
    const { source, shape } = bench();
    source.store('1', { channel_id: 'c2' });
    source.readAt = 0x700n;
    expect(notifications(await shape(0, transaction(5, insert('reaction', reaction('10', '1')))))).toMatchObject([{ channelId: 'c2', updateType: 'message_changed' }]);
    expect(created(await shape(0, moves(6, 'c1', 'c2')))).toEqual([['c2', true]]);
  });

  test('foretells nothing of what is committed after it was read, nor of other channels and messages', async () => {
    const { source, shape } = bench();
    source.store('1', { channel_id: 'c2' });
    source.store('2', { channel_id: 'c1' });
    source.readAt = 0x700n;
    await shape(0, transaction(5, insert('reaction', reaction('10', '1')), insert('reaction', reaction('11', '2'))));
    expect(created(await shape(0, transaction(6, insert('message', message('3', { channel_id: 'c2' })))))).toEqual([['c2', false]]);
    expect(created(await shape(0, moves(7, 'c1', 'c2')))).toEqual([['c2', false]]);
  });

  test('foretells what moves before the message was read, whatever else was told meanwhile', async () => {
    const { source, shape } = bench();
    const ids = Array.from({ length: 12_000 }, (_, index) => String(index + 1));
    for (const id of ids) source.store(id, { channel_id: 'c2' });
    source.readAt = 0x900n;
    await shape(0, transaction(5, ...ids.map((id) => insert('reaction', reaction(id, id)))));
    expect(created(await shape(0, moves(6, 'c1', 'c2')))).toEqual([['c2', true]]);
    expect(created(await shape(0, moves(9, 'c1', 'c2')))).toEqual([['c2', false]]);
  });

  test('is forgotten with the history that it belongs to', async () => {
    const { source, shape, shaper } = bench();
    source.store('1', { channel_id: 'c2' });
    source.readAt = 0x700n;
    await shape(0, transaction(5, insert('reaction', reaction('10', '1'))));
    shaper.reset();
    expect(created(await shape(0, moves(6, 'c1', 'c2')))).toEqual([['c2', false]]);
  });
});
