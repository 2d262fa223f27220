import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Allowance } from '../../src/deliver/allowance.js';
import { Dispatcher } from '../../src/deliver/dispatcher.js';
import type { EndpointEvents } from '../../src/deliver/endpoint-events.js';
import type { ParkedNote, Parking } from '../../src/deliver/parking.js';
import type { Outcome, Webhook } from '../../src/types.js';

beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] }); });
afterEach(() => { vi.useRealTimers(); });

const nothing = (): void => undefined;
const events: EndpointEvents = { attempted: nothing, parked: nothing, dead: nothing, collapsed: nothing, failing: nothing, recovered: nothing, gone: nothing, storeFault: nothing };

function webhook(id: number): Webhook {
  return {
    id: String(id), endpoint: `http://127.0.0.1/${id}`, token: null, secret: null, chatTypes: null, updateTypes: null, ordering: 'message', conflate: false,
    maxInFlight: 1, enabled: true, verified: true, failureNoted: false, awaited: false, deliverFrom: null, completeSince: null,
  };
}

interface Scene {
  readonly dispatcher: Dispatcher;
  /** ids of notifications, once for each endpoint */
  readonly parked: string[];
  readonly deliver: (index: number) => void;
  /** what is under way succeeds */
  readonly answer: () => void;
}

async function scene(endpoints: number, overloaded: () => boolean): Promise<Scene> {
  const parked: string[] = [];
  const underWay: ((answer: { readonly outcome: Outcome; readonly body: string }) => void)[] = [];
  const parking: Parking = {
    park: async (_webhookId, notes: readonly ParkedNote[]) => {
      parked.push(...notes.map(({ notificationId }) => notificationId));
      return [];
    },
    waiting: async () => [], due: async () => [], finish: async () => [], expire: async () => 0, nextDueAt: async () => null, holding: async () => new Set(), lanes: async () => [],
  };
  const connect = (): { readonly connections: number; send(request: unknown, done: (answer: { readonly outcome: Outcome; readonly body: string }) => void): void; retire(): Promise<void>; destroy(): Promise<void> } => ({
    connections: 0, send: (_request, done) => { underWay.push(done); }, retire: async () => undefined, destroy: async () => undefined,
  });
  const options = { timing: { baseMs: 1_000, maxMs: 1_000, maxAgeMs: 1e9 }, timeoutMs: 60_000, connect, token: 't', userAgent: 'u', shard: null, stream: { repeatedBefore: () => 0n, storedBefore: () => 0n, next: () => 0n }, allowance: new Allowance(1e9, 1e6, 1e6) };
  const dispatcher = new Dispatcher(options, parking, events, 1e9, overloaded);
  dispatcher.resume();
  await dispatcher.apply(Array.from({ length: endpoints }, (_endpoint, index) => webhook(index)));
  // It has looked how many there are.
  await vi.advanceTimersByTimeAsync(300);
  return {
    dispatcher,
    parked,
    deliver: (index) => {
      dispatcher.deliver({
        id: String(index), lsn: BigInt(index), seq: 0, committedAt: 0, channelId: 'c', messageId: String(index), chatType: 'x',
        updateType: 'message_created', webhookIds: null, body: '{"type":"x"}',
      }, nothing);
    },
    answer: () => {
      for (const done of underWay.splice(0)) done({ outcome: { kind: 'delivered', status: 200 }, body: '' });
    },
  };
}

/** @returns how many notifications are taken in, as the intake does, before one would have to wait */
async function takenIn({ dispatcher, deliver }: Scene, limit: number): Promise<number> {
  const stop = new AbortController();
  for (let taken = 0; taken < limit; taken += 1) {
    if (dispatcher.full) {
      let room = false;
      dispatcher.room(stop.signal).then(() => { room = true; }, nothing);
      await vi.advanceTimersByTimeAsync(0);
      if (!room) {
        stop.abort();
        return taken;
      }
    }
    deliver(taken);
  }
  return limit;
}

test('the more endpoints there are, the fewer notifications are taken in before some have gone, and never none', async () => {
  const taken: number[] = [];
  for (const endpoints of [10, 100, 1_000]) {
    const on = await scene(endpoints, () => false);
    taken.push(await takenIn(on, 5_000));
    on.dispatcher.close();
    await on.dispatcher.abandon();
  }
  const [ten = 0, hundred = 0, thousand = 0] = taken;
  expect(ten * 10).toBeLessThan(4_000);
  expect(hundred * 100).toBeLessThan(4_000);
  expect(thousand * 1_000).toBeLessThan(5_000);
  expect(thousand).toBeGreaterThan(1);
});

test('what has waited for two seconds is parked; four times as long where the process has no time to spare', async () => {
  for (const [overloaded, before, after] of [[false, 1_500, 1_000], [true, 7_500, 1_000]] as const) {
    const { dispatcher, deliver, parked } = await scene(1, () => overloaded);
    deliver(1);
    deliver(2);
    await vi.advanceTimersByTimeAsync(before);
    expect(parked).toEqual([]);
    await vi.advanceTimersByTimeAsync(after);
    expect(parked.toSorted()).toEqual(['1', '2']);
    dispatcher.close();
    await dispatcher.abandon();
  }
});

test('what waits while the process stands still is not taken for what an endpoint is slow with', async () => {
  const { dispatcher, deliver, answer, parked } = await scene(1, () => false);
  deliver(1);
  deliver(2);
  // Timers come once for all that they missed.
  vi.setSystemTime(Date.now() + 10_000);
  await vi.advanceTimersByTimeAsync(500);
  expect(parked).toEqual([]);
  answer();
  answer();
  dispatcher.close();
  await dispatcher.abandon();
});
