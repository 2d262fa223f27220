import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Completeness, type Resolved } from '../../src/receiver/completeness.js';

const position = (number: number): string => `0/${number.toString(16).toUpperCase()}`;
const numberOf = (lsn: string): number => Number.parseInt(lsn.slice(2), 16);
const mark = (since: number, lsn: number, index = 1, count = 1): Resolved => ({ since: position(since), lsn: position(lsn), shard: count === 1 ? null : { index, count } });

function said(completeness: Completeness): string {
  return `${completeness.since ?? ''} to ${completeness.lsn ?? ''}`;
}

describe('what was received in full', () => {
  test('goes on with each mark that begins where the one before ended, or earlier', () => {
    const completeness = new Completeness();
    expect(completeness.lsn).toBeNull();
    expect([null, mark(5, 10), mark(5, 32), mark(32, 48), mark(5, 40)].map((one) => completeness.add(one))).toEqual([false, false, false, false, false]);
    expect(said(completeness)).toBe('0/5 to 0/30');
  });

  test('begins anew behind a gap, and says so once', () => {
    const completeness = new Completeness();
    expect([mark(5, 10), mark(11, 20), mark(11, 30), mark(5, 10)].map((one) => completeness.add(one))).toEqual([false, true, false, false]);
    expect(said(completeness)).toBe('0/B to 0/1E');
  });

  test('is what every one of those that share the messages has told', () => {
    const completeness = new Completeness();
    expect([mark(1, 10, 1, 3), mark(3, 50, 3, 3)].map((one) => completeness.add(one))).toEqual([false, false]);
    expect(completeness.lsn).toBeNull();
    completeness.add(mark(2, 20, 2, 3));
    expect(said(completeness)).toBe('0/3 to 0/A');
    // That one began later is no gap while its own marks meet.
    expect(completeness.add(mark(15, 30, 2, 3))).toBe(false);
    completeness.add(mark(1, 40, 1, 3));
    expect(said(completeness)).toBe('0/3 to 0/1E');
    expect(completeness.add(mark(45, 60, 1, 3))).toBe(false);
    expect(completeness.add(mark(15, 70, 2, 3))).toBe(true);
    expect(said(completeness)).toBe('0/2D to 0/32');
  });

  test('goes on where another number of instances begins with what those of before had told, and over a restart of the receiver', () => {
    let completeness = new Completeness();
    for (const one of [mark(1, 10, 1, 2), mark(1, 12, 2, 2), mark(1, 30, 3, 3)]) completeness.add(one);
    completeness = new Completeness(completeness.save());
    expect(said(completeness)).toBe('0/1 to 0/A');
    expect([mark(1, 32, 1, 3), mark(1, 31, 2, 3)].map((one) => completeness.add(one))).toEqual([false, false]);
    expect(said(completeness)).toBe('0/1 to 0/1E');
  });

  test('is never more than what the marks together say, whatever comes in which order', () => {
    const marks = fc.array(fc.tuple(fc.constantFrom(1, 2, 3), fc.nat({ max: 2 }), fc.nat({ max: 20 }), fc.integer({ min: 1, max: 12 })), { maxLength: 25 });
    fc.assert(fc.property(marks, (list) => {
      const completeness = new Completeness();
      /** of each message, by its number, which positions are known to be received */
      const received = new Set<string>();
      for (const [count, shard, since, length] of list) {
        const index = shard % count;
        for (let message = 0; message < 6; message += 1) for (let at = since; at < since + length; at += 1) if (message % count === index) received.add(`${message} ${at}`);
        completeness.add(mark(since, since + length, index + 1, count));
        if (completeness.since === null || completeness.lsn === null) continue;
        for (let at = numberOf(completeness.since); at < numberOf(completeness.lsn); at += 1) for (let message = 0; message < 6; message += 1) expect(received).toContain(`${message} ${at}`);
      }
    }), { numRuns: 300 });
  });
});
