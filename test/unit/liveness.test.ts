import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Liveness, livenessTiming } from '../../src/wal/liveness.js';

describe('the timing', () => {
  test.each([
    [60_000, { askAfterMs: 10_000, deadAfterMs: 60_000 }],
    [5_000, { askAfterMs: 1_250, deadAfterMs: 5_000 }],
    // turned off at the server: our own patience counts
    [0, { askAfterMs: 10_000, deadAfterMs: 60_000 }],
    [3_600_000, { askAfterMs: 10_000, deadAfterMs: 60_000 }],
    [1, { askAfterMs: 250, deadAfterMs: 1_000 }],
  ])('of a server with wal_sender_timeout %d', (timeout, timing) => {
    expect(livenessTiming(timeout)).toEqual(timing);
  });
});

describe('a silent server', () => {
  const timing = { askAfterMs: 10, deadAfterMs: 40 };

  test('is asked after a while, again and again, and counts as dead when it never answers', () => {
    const liveness = new Liveness(timing, 1_000);
    const said = Array.from({ length: 41 }, (_, ms) => liveness.check(1_000 + ms, true));
    const asked = said.flatMap((word, ms) => (word === 'ask' ? [ms] : []));
    expect(asked).toEqual([10, 20, 30]);
    expect(said.indexOf('dead')).toBe(40);
  });

  test('that answers is fine again, and asked anew only after as long a silence', () => {
    const liveness = new Liveness(timing, 0);
    expect(liveness.check(10, true)).toBe('ask');
    liveness.heard(35);
    expect(liveness.check(44, true)).toBe('fine');
    expect(liveness.check(45, true)).toBe('ask');
    expect(liveness.check(74, true)).toBe('ask');
    expect(liveness.check(75, true)).toBe('dead');
  });

  test('says nothing while its socket is not read on purpose, and has its full time when reading goes on', () => {
    const liveness = new Liveness(timing, 0);
    expect(liveness.check(10, true)).toBe('ask');
    expect(liveness.check(1_000, false)).toBe('fine');
    expect(liveness.check(1_009, true)).toBe('fine');
    expect(liveness.check(1_010, true)).toBe('ask');
    expect(liveness.check(1_039, true)).toBe('ask');
    expect(liveness.check(1_040, true)).toBe('dead');
  });

  test('is asked before it is given up when the whole process stood still', () => {
    const liveness = new Liveness(timing, 0);
    expect(liveness.check(100_000, true)).toBe('ask');
    expect(liveness.check(100_009, true)).toBe('fine');
    expect(liveness.check(100_010, true)).toBe('dead');
  });

  test('is never given up that was heard within the time, nor without having been asked', () => {
    const step = fc.record({ ms: fc.nat({ max: 60 }), heard: fc.boolean(), reading: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const liveness = new Liveness(timing, 0);
        let [now, last] = [0, 0];
        let askedAt: number | null = null;
        for (const { ms, heard, reading } of steps) {
          now += ms;
          if (heard) {
            liveness.heard(now);
            last = now;
            askedAt = null;
          }
          const word = liveness.check(now, reading);
          if (!reading) {
            last = now;
            askedAt = null;
          }
          if (word === 'ask') askedAt ??= now;
          if (word === 'dead') {
            expect(now - last).toBeGreaterThanOrEqual(timing.deadAfterMs);
            expect(askedAt).not.toBe(null);
            expect(now - (askedAt ?? now)).toBeGreaterThanOrEqual(timing.askAfterMs);
            return;
          }
          if (now - last < timing.askAfterMs || !reading) expect(word).toBe('fine');
        }
      }),
    );
  });
});
