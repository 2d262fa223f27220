import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { NO_CHILDREN, type MessageEffect } from '../../src/shape/coalesce.js';
import { Settling, type Held } from '../../src/shape/settling.js';

function held(entry: string, messageId: string, dueAt: number): Held<string> {
  const effect: MessageEffect = { kind: 'message', place: 0, messageId, net: 'changed', before: null, row: null, children: NO_CHILDREN };
  return { entry, origin: { systemId: '1', commitLsn: 1n, committedAt: 0, part: null }, effect, dueAt };
}
const takeDue = (settling: Settling<string>, now: number): string[] => entries(settling.release(settling.due(now, Number.POSITIVE_INFINITY)));
const entries = (list: readonly Held<string>[]): string[] => list.map(({ entry }) => entry);

test('what waits comes out when its time is up, oldest first, once', () => {
  const settling = new Settling<string>();
  settling.hold(held('a', 'm1', 100));
  settling.hold(held('b', 'm2', 150));
  settling.hold(held('c', 'm1', 200));
  expect(settling.nextDueAt()).toBe(100);
  expect(takeDue(settling, 99)).toEqual([]);
  expect(takeDue(settling, 150)).toEqual(['a', 'b']);
  expect(settling.nextDueAt()).toBe(200);
  expect(takeDue(settling, Number.POSITIVE_INFINITY)).toEqual(['c']);
  expect(settling.nextDueAt()).toBe(null);
  expect(takeDue(settling, Number.POSITIVE_INFINITY)).toEqual([]);
});

test('what is due comes a part at a time, and what went with its message meanwhile is left out', () => {
  const settling = new Settling<string>();
  for (const [index, entry] of ['a', 'b', 'c', 'd'].entries()) settling.hold(held(entry, `m${index}`, index));
  const due = settling.due(10, 3);
  expect(entries(due)).toEqual(['a', 'b', 'c']);
  // Nothing is taken before it is told: a read in between can fail.
  expect(entries(settling.due(10, 3))).toEqual(['a', 'b', 'c']);
  settling.take('m1');
  expect(entries(settling.release(due))).toEqual(['a', 'c']);
  expect(settling.release(due)).toEqual([]);
  expect(takeDue(settling, 10)).toEqual(['d']);
});

test('no more than ten thousand wait', () => {
  const settling = new Settling<string>();
  for (let index = 0; index < 10_000; index += 1) {
    expect(settling.full).toBe(false);
    settling.hold(held(String(index), `m${index % 7_000}`, 5));
  }
  expect(settling.full).toBe(true);
  settling.take('m1');
  expect(settling.full).toBe(false);
  expect(takeDue(settling, 5)).toHaveLength(9_998);
  settling.clear();
  expect(settling.full).toBe(false);
});

test('all that waits for a message goes with it, and nothing of another', () => {
  const settling = new Settling<string>();
  for (const [entry, message, at] of [
    ['a', 'm1', 1],
    ['b', 'm2', 2],
    ['c', 'm1', 3],
  ] as const)
    settling.hold(held(entry, message, at));
  expect(entries(settling.take('m1'))).toEqual(['a', 'c']);
  expect(settling.take('m1')).toEqual([]);
  expect(settling.nextDueAt()).toBe(2);
  settling.clear();
  expect(settling.nextDueAt()).toBe(null);
  expect(settling.take('m2')).toEqual([]);
});

test('in any order of holding, taking and waiting everything comes out once, none too early and none too late', () => {
  const step = fc.record({ do: fc.constantFrom('hold', 'hold', 'hold', 'take', 'due'), message: fc.constantFrom('m1', 'm2', 'm3'), ms: fc.nat({ max: 30 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const settling = new Settling<string>();
      const waiting = new Map<string, Held<string>>();
      let now = 0;
      for (const [count, one] of steps.entries()) {
        now += one.ms;
        if (one.do === 'hold') {
          const made = held(String(count), one.message, now + 25);
          settling.hold(made);
          waiting.set(made.entry, made);
        } else {
          const out = one.do === 'take' ? settling.take(one.message) : settling.release(settling.due(now, 100));
          const expected = [...waiting.values()].filter(({ effect, dueAt }) => (one.do === 'take' ? effect.messageId === one.message : dueAt <= now));
          expect(entries(out)).toEqual(entries(expected));
          for (const { entry } of out) waiting.delete(entry);
        }
        expect(settling.nextDueAt()).toBe(waiting.size === 0 ? null : Math.min(...[...waiting.values()].map(({ dueAt }) => dueAt)));
      }
    }),
  );
});
