import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Canary, Standstill, canaryTiming } from '../../src/wal/canary.js';

const timing = { idleMs: 100, overdueMs: 50, standstillMs: 150 };
const at = (arrived: number, received = arrived, busy = false) => ({ arrived: BigInt(arrived), received: BigInt(received), busy });

/** Let fly at 100, in a stream in which a transaction came at 0. */
function flying(lsn: bigint): Canary {
  const canary = new Canary(timing, 0);
  expect(canary.check(0, at(5))).toBe('fine');
  expect(canary.check(100, at(5))).toBe('send');
  canary.sent(lsn, 100);
  return canary;
}

test.each([
  [10_000, { idleMs: 10_000, overdueMs: 10_000, standstillMs: 30_000 }],
  [300, { idleMs: 300, overdueMs: 2_000, standstillMs: 6_000 }],
  [3_600_000, { idleMs: 3_600_000, overdueMs: 10_000, standstillMs: 30_000 }],
  [0, { idleMs: 0, overdueMs: 10_000, standstillMs: 30_000 }],
])('the timing of CANARY_INTERVAL_MS=%d', (interval, expected) => {
  expect(canaryTiming(interval)).toEqual(expected);
});

describe('a canary', () => {
  test('flies only when no transaction has come for the interval', () => {
    const canary = new Canary(timing, 0);
    expect(canary.check(99, at(5))).toBe('fine');
    expect(canary.check(100, at(6))).toBe('fine');
    expect(canary.check(199, at(6))).toBe('fine');
    expect(canary.check(200, at(6))).toBe('send');
    // It has not left yet.
    expect(canary.check(210, at(6))).toBe('send');
  });

  test('does not fly while what came is still being worked off, or nothing streams', () => {
    const canary = new Canary(timing, 0);
    expect(canary.check(150, at(5, 5, true))).toBe('fine');
    expect(canary.check(240, at(5))).toBe('fine');
    expect(canary.check(245, null)).toBe('fine');
    expect(canary.check(344, at(5))).toBe('fine');
    expect(canary.check(345, at(5))).toBe('send');
  });

  test('that comes round, or that a later transaction stands in for, is the end of it', () => {
    for (const arrived of [20, 25]) {
      const canary = flying(20n);
      expect(canary.check(120, at(5, 10))).toBe('fine');
      expect(canary.check(130, at(arrived))).toBe('fine');
      expect(canary.check(229, at(arrived))).toBe('fine');
      expect(canary.check(230, at(arrived))).toBe('send');
      expect(canary.doubtful).toBe(false);
    }
  });

  test('that came before its own sending returned is round', () => {
    const canary = new Canary(timing, 0);
    expect(canary.check(100, at(20))).toBe('fine');
    expect(canary.check(200, at(20))).toBe('send');
    expect(canary.check(201, at(30))).toBe('fine');
    canary.sent(30n, 202);
    expect(canary.check(260, at(30))).toBe('fine');
    expect(canary.doubtful).toBe(false);
  });

  test('that does not come round is overdue, said once; the stream that follows is asked at once, and believed when something comes', () => {
    const canary = flying(20n);
    expect(canary.check(149, at(5))).toBe('fine');
    expect(canary.check(150, at(5))).toBe('overdue');
    expect(canary.doubtful).toBe(true);
    expect(canary.check(151, null)).toBe('fine');
    expect(canary.check(152, at(5))).toBe('send');
    canary.sent(40n, 153);
    expect(canary.doubtful).toBe(true);
    expect(canary.check(154, at(40))).toBe('fine');
    expect(canary.doubtful).toBe(false);
  });

  test('that is missing is no doubt any more once another instance streams', () => {
    const canary = flying(20n);
    expect(canary.check(150, at(5))).toBe('overdue');
    canary.rest(160);
    expect(canary.doubtful).toBe(false);
    expect(canary.check(259, at(5))).toBe('fine');
    expect(canary.check(260, at(5))).toBe('send');
  });

  test('is waited for as long as the server reads on towards it, and no longer once it has passed it', () => {
    const canary = flying(1_000n);
    for (let now = 110; now <= 900; now += 10) expect(canary.check(now, at(5, now))).toBe('fine');
    expect(canary.check(910, at(5, 1_001))).toBe('fine');
    expect(canary.check(950, at(5, 1_500))).toBe('fine');
    expect(canary.check(960, at(5, 2_000))).toBe('overdue');
  });

  test('is not overdue because this process stood still', () => {
    const canary = flying(20n);
    expect(canary.check(60_000, at(5))).toBe('fine');
    expect(canary.check(60_049, at(5))).toBe('fine');
    expect(canary.check(60_050, at(5))).toBe('overdue');
  });

  test('is never overdue in a stream that shows each commit within the time, whatever else happens', () => {
    const step = fc.record({ ms: fc.integer({ min: 1, max: 20 }), commits: fc.nat({ max: 3 }), busy: fc.boolean(), streams: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const canary = new Canary(timing, 0);
        let now = 0;
        let wal = 10;
        for (const { ms, commits, busy, streams } of steps) {
          now += ms;
          wal += commits;
          const verdict = canary.check(now, streams ? at(wal, wal, busy) : null);
          expect(verdict).not.toBe('overdue');
          if (verdict === 'send') canary.sent(BigInt((wal += 1)), now);
        }
      }),
    );
  });
});

describe('work', () => {
  test('stands still when some is there and none is finished for the limit', () => {
    const standstill = new Standstill(100, 0);
    expect(standstill.check(1_000, false, 0)).toBe(false);
    expect(standstill.check(1_090, true, 0)).toBe(false);
    expect(standstill.check(1_099, true, 0)).toBe(false);
    expect(standstill.check(1_100, true, 0)).toBe(true);
    expect(standstill.check(1_110, true, 1)).toBe(false);
    expect(standstill.check(1_209, true, 1)).toBe(false);
    expect(standstill.check(1_210, true, 1)).toBe(true);
    expect(standstill.check(1_211, false, 1)).toBe(false);
  });

  test('has its full time after the process stood still', () => {
    const standstill = new Standstill(100, 0);
    expect(standstill.check(10, true, 0)).toBe(false);
    expect(standstill.check(60_000, true, 0)).toBe(false);
    expect(standstill.check(60_100, true, 0)).toBe(true);
  });
});
