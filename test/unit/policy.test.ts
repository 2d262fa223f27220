import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoffMs, Breaker, classify, decideRetry, retryAfterMs, type Failed, type RetryTiming } from '../../src/deliver/policy.js';

const timing: RetryTiming = { baseMs: 1_000, maxMs: 600_000, maxAgeMs: 259_200_000 };
const NOW = Date.parse('2018-10-16T17:23:49Z');

describe('the pause before another try', () => {
  test('doubles from the base to the maximum', () => {
    expect([1, 2, 3, 4].map((attempts) => backoffMs(attempts, timing, 0))).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect([10, 11, 12, 1_000].map((attempts) => backoffMs(attempts, timing, 0))).toEqual([512_000, 600_000, 600_000, 600_000]);
  });

  test('is never shorter than that, and longer by no more than a quarter', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 2 ** 31 }),
        (attempts, random, baseMs, maxMs) => {
          const exact = Math.min(maxMs, baseMs * 2 ** (attempts - 1));
          const pause = backoffMs(attempts, { ...timing, baseMs, maxMs }, random);
          expect(pause).toBeGreaterThanOrEqual(Math.floor(exact));
          expect(pause).toBeLessThanOrEqual(Math.ceil(exact * 1.25));
          expect(Number.isSafeInteger(pause)).toBe(true);
        },
      ),
    );
  });

  test('differs by chance, so that many do not come back at once', () => {
    expect(new Set([0, 0.25, 0.5, 0.99].map((random) => backoffMs(3, timing, random))).size).toBe(4);
  });
});

describe('Retry-After', () => {
  test.each([
    ['5', 5_000],
    [' 5 ', 5_000],
    ['0', 1_000],
    ['3600', 3_600_000],
    ['3601', 3_600_000],
    ['99999999999999999999999999', 3_600_000],
    ['Tue, 16 Oct 2018 17:24:19 GMT', 30_000],
    ['Tue, 16 Oct 2018 17:23:49 GMT', 1_000],
    ['Mon, 15 Oct 2018 17:23:49 GMT', 1_000],
    ['Tue, 16 Oct 2028 17:23:49 GMT', 3_600_000],
    ['soon', null],
    ['', null],
    [undefined, null],
  ])('%j asks for %j ms', (header, expected) => {
    expect(retryAfterMs(header, NOW)).toBe(expected);
  });

  test('whatever it says, the pause is none or within one second and one hour', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.nat().map(String),
          fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
        ),
        (header) => {
          const pause = retryAfterMs(header, NOW);
          if (pause !== null) expect(pause >= 1_000 && pause <= 3_600_000).toBe(true);
        },
      ),
    );
  });
});

describe('an answer', () => {
  test.each([200, 201, 204, 299])('of %d means delivered', (status) => {
    expect(classify(status, '5', NOW)).toEqual({ kind: 'delivered', status });
  });

  test('of 410 means that the endpoint is gone', () => {
    expect(classify(410, undefined, NOW)).toMatchObject({ kind: 'gone', status: 410 });
  });

  test.each([300, 301, 307, 400, 401, 403, 404, 408, 409, 411, 418, 429, 500, 502, 503, 504, 599])('of %d means another try', (status) => {
    const outcome = classify(status, undefined, NOW);
    expect(outcome).toMatchObject({ kind: 'failed', status, retryAfterMs: null });
    expect(outcome).toHaveProperty('reason', expect.stringContaining(String(status)));
  });

  test('says when, with 429 and 503 alone', () => {
    for (const status of [429, 503]) expect(classify(status, '7', NOW)).toMatchObject({ retryAfterMs: 7_000 });
    for (const status of [301, 404, 500, 502]) expect(classify(status, '7', NOW)).toMatchObject({ retryAfterMs: null });
  });

  test('that redirects says in words that it is not followed', () => {
    expect(classify(307, undefined, NOW)).toHaveProperty('reason', expect.stringContaining('redirects are not followed'));
  });
});

const failed = (retryAfter: number | null = null): Failed => ({ kind: 'failed', status: 503, reason: 'x', retryAfterMs: retryAfter });

describe('what follows a failure', () => {
  test('is another try after the pause, or when the receiver asked for it', () => {
    expect(decideRetry(failed(), 3, NOW - 5_000, NOW, timing, 0)).toEqual({ kind: 'retry', at: NOW + 4_000 });
    expect(decideRetry(failed(7_000), 3, NOW - 5_000, NOW, timing, 0.5)).toEqual({ kind: 'retry', at: NOW + 7_000 });
  });

  test('is the end when it was tried for too long', () => {
    expect(decideRetry(failed(), 3, NOW - timing.maxAgeMs + 1, NOW, timing, 0).kind).toBe('retry');
    expect(decideRetry(failed(), 3, NOW - timing.maxAgeMs, NOW, timing, 0).kind).toBe('dead');
    expect(decideRetry(failed(1_000), 1, NOW, NOW, { ...timing, maxAgeMs: 0 }, 0).kind).toBe('dead');
  });
});

const fail = (breaker: Breaker, lane: string, now = 0): boolean => breaker.failed(lane, true, now, 0, null);
function opened(): Breaker {
  const breaker = new Breaker(timing);
  for (const lane of ['a', 'b', 'c', 'd', 'e']) fail(breaker, lane);
  return breaker;
}

describe('the breaker', () => {
  test('is not opened by one lane that fails for ever, nor by four', () => {
    const breaker = new Breaker(timing);
    for (let n = 0; n < 100; n += 1) for (const lane of ['a', 'b', 'c', 'd']) expect(fail(breaker, lane, n)).toBe(false);
    expect(breaker.open).toBe(false);
    expect(breaker.probeAt).toBe(null);
    expect(breaker.allowed(64, 100)).toBe(64);
  });

  test('is opened by five failing lanes with no success between, and says so once', () => {
    const breaker = new Breaker(timing);
    expect(['a', 'b', 'a', 'c', 'd', 'e', 'f'].map((lane) => fail(breaker, lane))).toEqual([false, false, false, false, false, true, false]);
    expect(breaker.open).toBe(true);
  });

  test('is not opened by lanes that fail now and then between successes', () => {
    const breaker = new Breaker(timing);
    for (let n = 0; n < 100; n += 1) {
      expect(fail(breaker, `lane ${n}`)).toBe(false);
      if (n % 4 === 3) expect(breaker.succeeded()).toBe(false);
    }
    expect(breaker.open).toBe(false);
  });

  test('that is open lets one probe go, when it is time, and none before', () => {
    const breaker = opened();
    expect(breaker.probeAt).toBe(1_000);
    expect(breaker.allowed(64, 999)).toBe(0);
    expect(breaker.allowed(64, 1_000)).toBe(1);
    expect(breaker.allowed(64, 50_000)).toBe(1);
  });

  test('waits twice as long after each failed probe, or as long as it is asked to; stragglers do not count', () => {
    const breaker = opened();
    fail(breaker, 'z', 500);
    expect(breaker.probeAt).toBe(1_000);
    expect(fail(breaker, 'z', 1_000)).toBe(false);
    expect(breaker.probeAt).toBe(3_000);
    fail(breaker, 'z', 3_000);
    expect(breaker.probeAt).toBe(7_000);
    breaker.failed('z', true, 7_000, 0, 60_000);
    expect(breaker.probeAt).toBe(67_000);
    fail(breaker, 'z', 67_000);
    expect(breaker.probeAt).toBe(67_000 + 16_000);
  });

  test('heeds the time that the receiver asks for when it opens', () => {
    const breaker = new Breaker(timing);
    for (const lane of ['a', 'b', 'c', 'd', 'e']) breaker.failed(lane, true, 100, 0, 30_000);
    expect(breaker.probeAt).toBe(30_100);
  });

  test('closes with the first success, and then lets twice as many go with each further one', () => {
    const breaker = opened();
    expect(breaker.succeeded()).toBe(true);
    expect(breaker.open).toBe(false);
    const windows = [1, 2, 4, 8, 10, 10].map(() => {
      const allowed = breaker.allowed(10, 5_000);
      expect(breaker.succeeded()).toBe(false);
      return allowed;
    });
    expect(windows).toEqual([1, 2, 4, 8, 10, 10]);
  });

  test('that has just closed is opened again by the very next failure, and begins with a short pause', () => {
    const breaker = opened();
    fail(breaker, 'z', 1_000);
    breaker.succeeded();
    expect(fail(breaker, 'a', 10_000)).toBe(true);
    expect(breaker.probeAt).toBe(11_000);
    fail(breaker, 'a', 11_000);
    expect(breaker.probeAt).toBe(13_000);
  });

  test('in whatever happens never allows more than the endpoint does, and when open no more than one', () => {
    const event = fc.record({ fails: fc.boolean(), lane: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), ms: fc.nat({ max: 5_000 }) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), fc.integer({ min: 1, max: 64 }), (events, most) => {
        const breaker = new Breaker(timing);
        const lanes = new Set<string>();
        let now = 0;
        for (const { fails, lane, ms } of events) {
          now += ms;
          const before = breaker.open;
          const changed = fails ? fail(breaker, lane, now) : breaker.succeeded();
          expect(changed).toBe(before !== breaker.open);
          if (!fails) {
            lanes.clear();
            expect(breaker.open).toBe(false);
          } else if (!before) lanes.add(lane);
          const allowed = breaker.allowed(most, now);
          if (breaker.open) expect(allowed).toBe(now >= (breaker.probeAt ?? 0) ? 1 : 0);
          else expect(allowed >= 1 && allowed <= most).toBe(true);
        }
      }),
    );
  });
});
