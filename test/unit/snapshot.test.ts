import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Snapshot } from '../../src/store/snapshot.js';

describe('a snapshot', () => {
  test('sees what ended before it, and nothing that was under way or came later', () => {
    const snapshot = new Snapshot('100:105:101,103');
    expect([99, 100, 101, 102, 103, 104, 105, 106].map((xid) => snapshot.sees(xid))).toEqual([true, true, false, true, false, true, false, false]);
  });

  test('of a quiet server sees everything so far', () => {
    expect(new Snapshot('100:100:').sees(99)).toBe(true);
    expect(new Snapshot('100:100:').sees(100)).toBe(false);
  });

  test('reads an xid as the one nearest to it, across a change of epoch', () => {
    const epoch = 3n << 32n;
    const snapshot = new Snapshot(`${epoch - 5n}:${epoch + 3n}:${epoch - 5n},${epoch + 1n}`);
    expect(snapshot.sees(0xffff_fffa)).toBe(true);
    expect(snapshot.sees(0xffff_fffb)).toBe(false);
    expect(snapshot.sees(0xffff_ffff)).toBe(true);
    expect([0, 1, 2, 3].map((xid) => snapshot.sees(xid))).toEqual([true, false, true, false]);
  });

  test('what one saw, each later one sees', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 3n, max: 1n << 40n }), fc.uniqueArray(fc.nat({ max: 50 })), fc.array(fc.nat({ max: 50 })), (xmin, underWay, ended) => {
        const names = (list: readonly number[]): string => list.map((offset) => String(xmin + BigInt(offset))).join(',');
        const earlier = new Snapshot(`${xmin}:${xmin + 51n}:${names(underWay)}`);
        const later = new Snapshot(`${xmin}:${xmin + 60n}:${names(underWay.filter((offset) => !ended.includes(offset)))}`);
        for (let offset = 0n; offset < 60n; offset += 1n) {
          const xid = Number(BigInt.asUintN(32, xmin + offset));
          if (earlier.sees(xid)) expect(later.sees(xid)).toBe(true);
        }
      }),
    );
  });

  test('is not made of anything else', () => {
    expect(() => new Snapshot('no snapshot')).toThrow(SyntaxError);
  });
});
