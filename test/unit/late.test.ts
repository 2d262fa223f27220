import { expect, test } from 'vitest';
import { LateRequests } from '../../src/deliver/late.js';
import type { Notification, Webhook } from '../../src/types.js';

const notification = (id: string, channelId: string, messageId: string | null): Notification => ({
  id, channelId, messageId, lsn: 1n, seq: 0, committedAt: 0, chatType: null, updateType: null, webhookIds: null, body: '{}',
});
const webhook = (ordering: 'message' | 'channel'): Webhook => ({
  id: ordering, endpoint: '', token: null, secret: null, chatTypes: null, updateTypes: null, ordering, conflate: false, maxInFlight: 1,
  enabled: true, verified: true, awaited: false, deliverFrom: null, completeSince: null, failureNoted: false,
});

/** What each of two endpoints, one of each ordering, is told; delivered at once. */
function bench(): { readonly late: LateRequests; readonly told: Record<'message' | 'channel', string[]>; readonly kept: Set<Notification> } {
  const told: Record<'message' | 'channel', string[]> = { message: [], channel: [] };
  const kept = new Set<Notification>();
  const late = new LateRequests({
    keep(what) {
      kept.add(what);
      return () => kept.delete(what);
    },
    deliver(what, release, only = () => true) {
      for (const ordering of ['message', 'channel'] as const) if (only(webhook(ordering))) told[ordering].push(what.id);
      release();
    },
  });
  return { late, told, kept };
}

function held<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

test('what is ordered by channel goes behind a request that is being made, all else goes on', async () => {
  const { late, told, kept } = bench();
  const made = held<Notification | null>();
  const released: string[] = [];
  late.request(notification('about', 'c1', null), made.promise, () => released.push('request'));
  late.deliver(notification('message of c1', 'c1', 'm1'), () => released.push('message of c1'));
  late.deliver(notification('update of c1', 'c1', null), () => released.push('update of c1'));
  late.deliver(notification('message of c2', 'c2', 'm2'), () => released.push('message of c2'));
  expect(told).toEqual({ message: ['message of c1', 'message of c2'], channel: ['message of c2'] });
  expect(released).toEqual(['message of c2']);
  // What waits is counted as in memory, the request itself as well.
  expect([...kept].map(({ id }) => id)).toEqual(['about', 'message of c1', 'update of c1']);
  made.resolve(notification('request', 'c1', null));
  await made.promise;
  await Promise.resolve();
  expect(told.channel).toEqual(['message of c2', 'request', 'message of c1', 'update of c1']);
  expect(told.message).toEqual(['message of c1', 'message of c2', 'request', 'update of c1']);
  expect(released).toEqual(['message of c2', 'request', 'message of c1', 'update of c1']);
  expect(kept.size).toBe(0);
});

test('a second request of the channel waits for the first, also when it is made earlier', async () => {
  const { late, told } = bench();
  const [first, second] = [held<Notification | null>(), held<Notification | null>()];
  late.request(notification('about', 'c1', null), first.promise, () => undefined);
  late.deliver(notification('between', 'c1', null), () => undefined);
  late.request(notification('about', 'c1', null), second.promise, () => undefined);
  late.deliver(notification('after', 'c1', null), () => undefined);
  second.resolve(notification('second', 'c1', null));
  await second.promise;
  expect(told.message).toEqual([]);
  first.resolve(notification('first', 'c1', null));
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  expect(told.message).toEqual(['first', 'between', 'second', 'after']);
  expect(late.size).toBe(0);
});

test('after a reset nothing of what waited is told or released', async () => {
  const { late, told, kept } = bench();
  const made = held<Notification | null>();
  const released: string[] = [];
  late.request(notification('about', 'c1', null), made.promise, () => released.push('request'));
  late.deliver(notification('update', 'c1', null), () => released.push('update'));
  late.reset();
  expect(kept.size).toBe(0);
  made.resolve(notification('request', 'c1', null));
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  expect({ told, released }).toEqual({ told: { message: [], channel: [] }, released: [] });
});
