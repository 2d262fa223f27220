import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Allowance } from '../../src/deliver/allowance.js';
import { EndpointClient } from '../../src/deliver/attempt.js';
import { Backlog } from '../../src/deliver/backlog.js';
import type { BacklogHost } from '../../src/deliver/backlog-host.js';
import type { Delivery } from '../../src/deliver/delivery.js';
import type { DueNote, Parking } from '../../src/deliver/parking.js';
import { Dispatcher } from '../../src/deliver/dispatcher.js';
import { Egress } from '../../src/deliver/egress.js';
import type { EndpointEvents } from '../../src/deliver/endpoint-events.js';
import { closedGate } from '../support/gate.js';

const note = (notificationId: string, lsn: bigint): Delivery['note'] => ({ notificationId, lsn, seq: 0, channelId: 'c', messageId: null, updateType: null, repeated: false, replay: false, body: '{"type":"x"}' });

function delivery(id: string, lsn: bigint, lane: string): Delivery {
  return {
    note: note(id, lsn), lane, direct: true, cameAt: 0, sentAt: 0, committedAt: 0, settle: null,
    begun: true, attempts: 1, firstAttemptAt: 0, lastStatus: 500, lastError: 'x', nextAttemptAt: null, stored: false, dead: false, reserved: 0, reservedLarge: 0, place: 0,
  };
}

function dueNote(id: string, lsn: bigint, lane: string): DueNote {
  return { ...note(id, lsn), lane, attempts: 0, firstAttemptAt: null, bytes: 12, yields: false, parkedAt: 0 };
}

/** Nothing stands in the table, unless given. */
function parking(more: Partial<Parking> = {}): Parking {
  return { park: async () => [], waiting: async () => [], due: async () => [], finish: async () => [], expire: async () => 0, nextDueAt: async () => null, lanes: async () => null, holding: async () => new Set(), ...more };
}

function host(more: Partial<BacklogHost> = {}): BacklogHost {
  const nothing = (): void => undefined;
  return { allowed: () => 64, allowedAt: () => null, probing: () => false, conflates: () => false, lanesLimit: () => 1_000, busy: () => false, busyLanes: () => [], onDue: nothing, onParked: nothing, onDead: nothing, onCollapsed: nothing, onStoreFault: nothing, ...more };
}

beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }); });
afterEach(() => { vi.useRealTimers(); });

describe('a backlog', () => {
  test('does not miss that rows were changed by hand while it looks', async () => {
    const rows: DueNote[] = [];
    const looking = closedGate();
    const seen = closedGate();
    const table = parking({
      due: async () => rows.splice(0),
      lanes: async () => {
        const lanes = rows.map(({ lane }) => lane);
        seen.open();
        await looking.opened;
        return lanes;
      },
    });
    const sent: string[] = [];
    const backlog = new Backlog('1', table, host({ onDue: () => {
      for (let next = backlog.next(); next !== undefined; next = backlog.next()) sent.push(next.note.notificationId);
    } }), 1e9, new Allowance(1e6, 1e6, 1e6).share(), null);
    backlog.wake(false);
    await seen.opened;
    // It has read that nothing waits; now a dead one is retried by SQL.
    rows.push(dueNote('n', 1n, 'l'));
    backlog.wake(true);
    looking.open();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent).toEqual(['n']);
    await backlog.close();
  });

  test('does not overtake what fails while it looks for expired ones', async () => {
    const busy = new Set(['l']);
    const expiring = closedGate();
    const seen = closedGate();
    const rows = [dueNote('second', 2n, 'l')];
    const table = parking({
      park: async (_webhookId, notes) => {
        for (const { notificationId, lsn, lane } of notes) rows.unshift(dueNote(notificationId, lsn, lane));
        return [];
      },
      expire: async () => {
        seen.open();
        await expiring.opened;
        return 0;
      },
      // Only the lane's head.
      due: async (_webhookId, _limit, except) => rows.slice(0, 1).filter(({ lane }) => !except.lanes.includes(lane)),
    });
    const sent: string[] = [];
    const backlog = new Backlog('1', table, host({
      allowed: () => 1,
      probing: () => true,
      busyLanes: () => [...busy],
      onDue: () => {
        const next = backlog.next();
        if (next !== undefined) sent.push(next.note.notificationId);
      },
    }), 1e9, new Allowance(1e6, 1e6, 1e6).share(), null);
    backlog.wake(false);
    await seen.opened;
    busy.delete('l');
    backlog.add(delivery('first', 1n, 'l'));
    expiring.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(sent).toEqual(['first']);
    await backlog.close();
  });

  test('does not ask again and again when the rows\' times have passed by this machine\'s clock', async () => {
    const due = vi.fn(async () => []);
    const backlog = new Backlog('1', parking({ due, nextDueAt: async () => Date.now() - 1_000, lanes: async () => ['l'] }), host(), 1e9, new Allowance(1e6, 1e6, 1e6).share(), ['l']);
    backlog.wake(false);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(due.mock.calls.length).toBeGreaterThan(10);
    expect(due.mock.calls.length).toBeLessThan(50);
    await backlog.close();
  });

  test('looks for what is due although more keeps being parked', async () => {
    const due = vi.fn(async () => []);
    const park = vi.fn(async () => new Promise<readonly string[]>((resolve) => { setTimeout(() => resolve([]), 8); }));
    const backlog = new Backlog('1', parking({ due, park }), host(), 1e9, new Allowance(1e6, 1e6, 1e6).share(), null);
    for (let index = 0; index < 250; index += 1) {
      backlog.add(delivery(String(index), BigInt(index), String(index)));
      await vi.advanceTimersByTimeAsync(4);
    }
    expect(park.mock.calls.length).toBeGreaterThan(50);
    expect(due.mock.calls.length).toBeGreaterThan(10);
    const closed = backlog.close();
    await vi.advanceTimersByTimeAsync(10);
    await closed;
  });
});

describe('of a lane of which several were brought back', () => {
  /** Three of one lane, brought back at once, the first of them taken to be sent. */
  async function lane(more: Partial<Parking> = {}, share = new Allowance(1e6, 1e6, 1e6).share()): Promise<{ readonly backlog: Backlog; readonly rows: DueNote[]; readonly finished: string[][]; readonly asked: (readonly string[])[] }> {
    const rows = ['n1', 'n2', 'n3'].map((id, index) => dueNote(id, BigInt(index), 'l'));
    const finished: string[][] = [];
    const asked: (readonly string[])[] = [];
    const table = parking({
      due: async (_webhookId, _room, except) => {
        asked.push(except.lanes);
        return rows.filter(({ lane: name }) => !except.lanes.includes(name));
      },
      finish: async (_webhookId, outcomes) => {
        finished.push(outcomes.map(({ kind, notificationId }) => `${notificationId} ${kind}`));
        for (const { kind, notificationId } of outcomes) if (kind === 'delivered') rows.splice(rows.findIndex((row) => row.notificationId === notificationId), 1);
        return rows.length === 0 ? ['l'] : [];
      },
      lanes: async () => (rows.length === 0 ? [] : ['l']),
      nextDueAt: async () => null,
      ...more,
    });
    const backlog = new Backlog('1', table, host(), 1e9, share, ['l']);
    backlog.wake(false);
    await vi.advanceTimersByTimeAsync(10);
    expect(backlog.next()?.note.notificationId).toBe('n1');
    return { backlog, rows, finished, asked };
  }
  const delivered = (notificationId: string): Parameters<Backlog['record']>[0] => ({ kind: 'delivered', notificationId, lane: 'l' });
  const failed = (notificationId: string, kind: 'retry' | 'dead'): Parameters<Backlog['record']>[0] => ({ kind, notificationId, lane: 'l', status: 500, reason: 'x', attempts: 1, nextAttemptAt: Date.now() + 60_000 });

  test('each goes once the one before it is delivered, without a look at the rows; what came of them is written together', async () => {
    const writing = closedGate();
    let calls = 0;
    const { backlog, asked } = await lane({
      finish: async (_webhookId, outcomes) => {
        calls += 1;
        if (calls === 1) await writing.opened;
        return outcomes.some(({ notificationId }) => notificationId === 'n3') ? ['l'] : [];
      },
    });
    const looks = asked.length;
    expect(backlog.next()).toBeUndefined();
    backlog.record(delivered('n1'));
    await vi.advanceTimersByTimeAsync(0);
    for (const id of ['n2', 'n3']) {
      expect(backlog.next()?.note.notificationId).toBe(id);
      expect(backlog.next()).toBeUndefined();
      backlog.record(delivered(id));
    }
    expect([asked.length, calls]).toEqual([looks, 1]);
    writing.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(calls).toBe(2);
    expect(backlog.holds('l')).toBe(false);
    await backlog.close();
  });

  test('the rows are not looked at each time that one is delivered', async () => {
    const { backlog, asked, finished } = await lane();
    const looks = asked.length;
    for (const id of ['n1', 'n2']) {
      backlog.record(delivered(id));
      await vi.advanceTimersByTimeAsync(0);
    }
    expect([finished.length, asked.length]).toEqual([2, looks]);
    await backlog.close();
  });

  test.each(['retry', 'dead'] as const)('none goes before the rows say so when one comes to: %s', async (kind) => {
    const { backlog, finished, asked } = await lane();
    backlog.record(failed('n1', kind));
    expect(backlog.next()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(0);
    expect(finished).toEqual([[`n1 ${kind}`]]);
    expect(asked.at(-1)).toEqual([]);
    await backlog.close();
  });

  test('nothing is brought back a second time while one is under way or its end is not written', async () => {
    const writing = closedGate();
    const { backlog, asked } = await lane({ finish: async () => writing.opened.then(() => []) });
    backlog.wake(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked.slice(1).every((lanes) => lanes.includes('l'))).toBe(true);
    for (const id of ['n2', 'n3', undefined]) {
      backlog.record(delivered('n1'));
      expect(backlog.next()?.note.notificationId).toBe(id);
    }
    backlog.wake(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked.slice(1).every((lanes) => lanes.includes('l'))).toBe(true);
    const closed = backlog.close();
    writing.open();
    await closed;
  });

  test.each([
    ['changed by hand', (backlog: Backlog): void => backlog.wake(true)],
    ['removed by hand', (backlog: Backlog): void => backlog.rowsRemoved()],
    ['given up with the endpoint', (backlog: Backlog): void => backlog.forgetDue()],
  ])('what waits behind another is forgotten when rows are %s', async (_what, change) => {
    const { backlog } = await lane();
    change(backlog);
    backlog.record(delivered('n1'));
    expect(backlog.next()).toBeUndefined();
    await backlog.close();
  });

  test('what was read before the rows were changed by hand does not go behind another', async () => {
    const reading = closedGate();
    let reads = 0;
    const rows = ['n1', 'n2'].map((id, index) => dueNote(id, BigInt(index), 'l'));
    const backlog = new Backlog('1', parking({
      due: async (_webhookId, _room, except) => {
        reads += 1;
        if (reads === 1) await reading.opened;
        return except.lanes.includes('l') ? [] : rows;
      },
    }), host(), 1e9, new Allowance(1e6, 1e6, 1e6).share(), ['l']);
    backlog.wake(false);
    await vi.advanceTimersByTimeAsync(0);
    backlog.wake(true);
    reading.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(backlog.next()?.note.notificationId).toBe('n1');
    backlog.record(delivered('n1'));
    expect(backlog.next()).toBeUndefined();
    await backlog.close();
  });

  test('the room that they took is given back, whatever became of them', async () => {
    for (const end of ['delivered', 'retry', 'close'] as const) {
      const share = new Allowance(1e6, 1e6, 1e6).share();
      const [reserve, giveBack] = [vi.spyOn(share, 'reserve'), vi.spyOn(share, 'giveBack')];
      const held = (): number => [...reserve.mock.results.map(({ value }) => Number(value)), ...giveBack.mock.calls.map(([bytes]) => -bytes)].reduce((sum, bytes) => sum + bytes, 0);
      const { backlog } = await lane({}, share);
      expect(held()).toBe(36);
      if (end === 'retry') {
        backlog.record(failed('n1', 'retry'));
        expect(held()).toBe(12);
      }
      if (end === 'delivered') for (const id of ['n1', 'n2', 'n3']) backlog.record(delivered(id));
      await vi.advanceTimersByTimeAsync(0);
      await backlog.close();
      expect(held()).toBe(0);
    }
  });
});

test('waiting for room leaves no listener behind', async () => {
  const nothing = (): void => undefined;
  const events: EndpointEvents = { attempted: nothing, parked: nothing, dead: nothing, collapsed: nothing, failing: nothing, recovered: nothing, gone: nothing, storeFault: nothing };
  const egress = new Egress({ mode: 'private', allow: [], deny: [] });
  const options = { timing: { baseMs: 1_000, maxMs: 1_000, maxAgeMs: 1e9 }, timeoutMs: 1_000, connect: (endpoint: string, connections: number) => new EndpointClient(endpoint, connections, 1_000, egress), token: 't', userAgent: 'u', shard: null, stream: { repeatedBefore: () => 0n, storedBefore: () => 0n, next: () => 0n }, allowance: new Allowance(1e6, 1e6, 1e6) };
  const dispatcher = new Dispatcher(options, parking({ lanes: async () => [] }), events, 100);
  dispatcher.resume();
  await dispatcher.apply([{
    id: '1', endpoint: 'not a URL', token: null, secret: null, chatTypes: null, updateTypes: null,
    ordering: 'message', conflate: false, maxInFlight: 1, enabled: true, verified: true, failureNoted: false, awaited: false, deliverFrom: null, completeSince: null,
  }]);
  const stop = new AbortController();
  for (let index = 0; index < 30; index += 1) {
    dispatcher.deliver({
      id: String(index), lsn: BigInt(index), seq: 0, committedAt: 0, channelId: 'c', messageId: String(index), chatType: 'x',
      updateType: 'message_created', webhookIds: null, body: '{"type":"x"}',
    }, nothing);
    await dispatcher.room(stop.signal);
  }
  expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  dispatcher.close();
  await dispatcher.abandon();
});
