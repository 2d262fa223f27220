import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { delay, isoTimestamp } from '../../src/time.js';

const SECOND = 1_000_000n;
const two = (value: number): string => String(value).padStart(2, '0');

/** As the server writes it in a zone of this offset: no zeros at the end of the fraction, no parts of the offset that are zero. */
function postgresText(micros: bigint, offset: number): string {
  const local = micros + BigInt(offset) * SECOND;
  const fraction = ((local % SECOND) + SECOND) % SECOND;
  const wall = new Date(Number((local - fraction) / 1000n)).toISOString().slice(0, 19).replace('T', ' ');
  const size = Math.abs(offset);
  const [h, m, s] = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  const digits = fraction === 0n ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/u, '')}`;
  return `${wall}${digits}${offset < 0 ? '-' : '+'}${two(h)}${m + s === 0 ? '' : `:${two(m)}`}${s === 0 ? '' : `:${two(s)}`}`;
}

/** Microseconds since 1970 of the result, read by the platform's own parser. */
function instant(iso: string): bigint {
  const match = /^(.{19})(?:\.(\d{6}))?(Z|[+-]\d\d:\d\d)$/u.exec(iso);
  if (match === null) throw new Error(`not the form that is promised: ${iso}`);
  const [, wall = '', fraction = '0', zone = ''] = match;
  return BigInt(Date.parse(wall + zone)) * 1000n + BigInt(fraction);
}

describe('a timestamp of PostgreSQL in ISO 8601', () => {
  test.each([
    // UTC
    ['2018-10-16 17:23:49.0001+00', '2018-10-16T17:23:49.000100Z'],
    ['2018-10-16 17:23:49+00', '2018-10-16T17:23:49Z'],
    ['2018-10-16 17:23:49.123456+00', '2018-10-16T17:23:49.123456Z'],
    ['2018-10-16 17:23:49.5+00', '2018-10-16T17:23:49.500000Z'],
    ['2018-10-16 17:23:49.000000+00', '2018-10-16T17:23:49Z'],
    ['2018-10-16 17:23:49+00:00', '2018-10-16T17:23:49Z'],
    ['2018-10-16 17:23:49-00', '2018-10-16T17:23:49Z'],
    // other zones
    ['2018-10-16 13:23:49.0001-04', '2018-10-16T13:23:49.000100-04:00'],
    ['2018-10-16 22:53:49+05:30', '2018-10-16T22:53:49+05:30'],
    ['2018-10-16 16:53:49-00:30', '2018-10-16T16:53:49-00:30'],
    // years of more and of fewer than four digits
    ['0099-01-01 00:00:00+00', '0099-01-01T00:00:00Z'],
    ['10000-01-01 00:00:00.25+00', '10000-01-01T00:00:00.250000Z'],
  ])('%s is %s', (text, expected) => {
    expect(isoTimestamp(text)).toBe(expected);
  });

  test.each([
    ['1883-11-18 12:03:58-04:56:02', '1883-11-18T12:04:00-04:56'],
    ['1883-11-18 12:03:58.000007-04:56:02', '1883-11-18T12:04:00.000007-04:56'],
    // Paris: rounded down, and the wall clock with it
    ['1900-01-01 00:00:00+00:09:21', '1899-12-31T23:59:39+00:09'],
    // Amsterdam: half a minute and more is rounded up
    ['1937-01-01 12:19:32+00:19:32', '1937-01-01T12:20:00+00:20'],
    ['1900-01-01 00:00:00+00:00:30', '1900-01-01T00:00:30+00:01'],
    ['1900-01-01 00:00:00-00:00:30', '1900-01-01T00:00:30Z'],
    ['1900-01-01 00:00:00+00:00:20', '1899-12-31T23:59:40Z'],
    ['1900-01-01 00:00:00+01:59:45', '1900-01-01T00:00:15+02:00'],
    ['0050-01-01 00:00:00+00:09:21', '0049-12-31T23:59:39+00:09'],
  ])('an offset with seconds is rounded to the minute, the instant kept: %s is %s', (text, expected) => {
    expect(isoTimestamp(text)).toBe(expected);
  });

  test.each(['infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '', 'now', '2018-10-16', '2018-10-16T17:23:49Z'])('%j stays as it is', (text) => {
    expect(isoTimestamp(text)).toBe(text);
  });

  test('the instant is kept, whatever the offset, and zero offsets are Z', () => {
    const range = { min: BigInt(Date.parse('0002-01-01T00:00:00Z')) * 1000n, max: BigInt(Date.parse('9998-12-31T00:00:00Z')) * 1000n };
    const micros = fc.oneof(
      fc.bigInt(range),
      fc.bigInt({ min: -10n, max: 10n }).map((seconds) => seconds * SECOND),
    );
    const hours = fc.integer({ min: -15, max: 15 }).map((count) => count * 3600);
    const offset = fc.oneof(
      hours,
      fc.integer({ min: -15 * 60, max: 15 * 60 }).map((count) => count * 60),
      fc.integer({ min: -15 * 3600, max: 15 * 3600 }),
    );
    fc.assert(
      fc.property(micros, offset, (time, zone) => {
        const iso = isoTimestamp(postgresText(time, zone));
        expect(instant(iso)).toBe(time);
        expect(/[+-]00:00$/u.test(iso)).toBe(false);
        expect(iso.includes('.')).toBe(time % SECOND !== 0n);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('a delay', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('ends when its time is up, not before', async () => {
    vi.useFakeTimers();
    let ended = false;
    const waiting = delay(1_000).then(() => {
      ended = true;
    });
    await vi.advanceTimersByTimeAsync(999);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toBe(true);
    await waiting;
  });

  test('ends early and quietly when it is aborted, and leaves no timer and no listener', async () => {
    vi.useFakeTimers();
    const abort = new AbortController();
    const waiting = delay(1_000, abort.signal);
    abort.abort();
    await waiting;
    expect(vi.getTimerCount()).toBe(0);
    await delay(1_000, abort.signal);
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });

  test('that ends by itself leaves no listener on the signal', async () => {
    vi.useFakeTimers();
    const { signal } = new AbortController();
    const waiting = delay(5, signal);
    await vi.advanceTimersByTimeAsync(5);
    await waiting;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
