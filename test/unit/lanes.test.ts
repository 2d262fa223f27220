import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lanes } from '../../src/deliver/lanes.js';

interface Item {
  readonly lane: string;
  readonly number: number;
  readonly yields?: boolean;
}

function fill(lanes: Lanes<Item>, ...names: readonly string[]): Item[] {
  return names.map((lane, number) => {
    const item = { lane, number };
    lanes.push(lane, item);
    return item;
  });
}

describe('of each lane', () => {
  test('one is under way at a time, the rest wait in the order in which they came', () => {
    const lanes = new Lanes<Item>();
    const items = fill(lanes, 'a', 'a', 'a');
    expect(lanes.queued).toBe(3);
    for (const [at, item] of items.entries()) {
      expect(lanes.next()).toBe(item);
      expect(lanes.queued).toBe(2 - at);
      expect(lanes.next()).toBe(undefined);
      lanes.done('a');
    }
    expect(lanes.next()).toBe(undefined);
  });

  test('the others go on while one is busy, in turn', () => {
    const lanes = new Lanes<Item>();
    const [a1, , b1, c1, b2] = fill(lanes, 'a', 'a', 'b', 'c', 'b');
    expect([lanes.next(), lanes.next(), lanes.next(), lanes.next()]).toEqual([a1, b1, c1, undefined]);
    lanes.done('b');
    expect([lanes.next(), lanes.next()]).toEqual([b2, undefined]);
  });

  test('nothing comes twice when a lane is finished that had nothing under way', () => {
    const lanes = new Lanes<Item>();
    const [a1, a2] = fill(lanes, 'a', 'a');
    lanes.done('unknown');
    expect(lanes.next()).toBe(a1);
    expect(lanes.next()).toBe(undefined);
    lanes.done('a');
    lanes.done('b');
    expect(lanes.next()).toBe(a2);
  });
});

describe('what is cut', () => {
  test('is what waits in the lane; what is under way stays, and what comes later goes behind it', () => {
    const lanes = new Lanes<Item>();
    const [a1, a2, b1, a3] = fill(lanes, 'a', 'a', 'b', 'a');
    expect(lanes.next()).toBe(a1);
    expect(lanes.cut('a')).toEqual([a2, a3]);
    expect(lanes.queued).toBe(1);
    const a4 = { lane: 'a', number: 4 };
    lanes.push('a', a4);
    expect([lanes.next(), lanes.next()]).toEqual([b1, undefined]);
    lanes.done('a');
    expect(lanes.next()).toBe(a4);
    expect(lanes.cut('nobody')).toEqual([]);
  });

  test('of a lane with nothing under way no longer goes out', () => {
    const lanes = new Lanes<Item>();
    const [a1, b1] = fill(lanes, 'a', 'b');
    expect(lanes.cut('a')).toEqual([a1]);
    expect([lanes.next(), lanes.next()]).toEqual([b1, undefined]);
  });

  test('and what comes into the lane after it still goes one at a time', () => {
    const lanes = new Lanes<Item>();
    fill(lanes, 'a');
    lanes.cut('a');
    const [first] = fill(lanes, 'a');
    expect(lanes.next()).toBe(first);
    const [second] = fill(lanes, 'a');
    expect(lanes.next()).toBe(undefined);
    lanes.done('a');
    expect(lanes.next()).toBe(second);
  });

  test('of all lanes is everything that waits, each lane in order', () => {
    const lanes = new Lanes<Item>();
    const [, a2, b1, a3, b2] = fill(lanes, 'a', 'a', 'b', 'a', 'b');
    lanes.next();
    expect(lanes.cutAll()).toEqual([a2, a3, b1, b2]);
    expect(lanes.queued).toBe(0);
    expect(lanes.next()).toBe(undefined);
    expect(lanes.cutAll()).toEqual([]);
    lanes.done('a');
    expect(lanes.next()).toBe(undefined);
  });
});

test('a lane with much to send does not hold up another: every lane has its turn before one has its second', () => {
  const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(names, (list) => {
      const lanes = new Lanes<Item>();
      fill(lanes, ...list);
      const left = new Map<string, number>();
      for (const name of list) left.set(name, (left.get(name) ?? 0) + 1);
      while (lanes.queued > 0) {
        const round = [...left].filter(([, count]) => count > 0).map(([name]) => name);
        const taken = round.map(() => {
          const item = lanes.next();
          if (item !== undefined) {
            left.set(item.lane, (left.get(item.lane) ?? 0) - 1);
            lanes.done(item.lane);
          }
          return item?.lane;
        });
        expect(new Set(taken)).toEqual(new Set(round));
      }
    }),
  );
});

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('push' as const), lane: fc.constantFrom('a', 'b', 'c', 'd'), yields: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('next' as const, 'nextYielding' as const), lane: fc.constant('') }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('done' as const), lane: fc.constantFrom('a', 'b', 'c', 'd') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'cutAll' as const), lane: fc.constantFrom('a', 'b', 'c', 'd') }) },
);

const isLive = (items: readonly Item[]): boolean => items.some(({ yields }) => yields !== true);

test('in any order of calls each lane keeps its order, has one under way, and nothing is lost or doubled; a lane goes with what yields only while nothing else waits in it', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 150 }), (commands) => {
      const lanes = new Lanes<Item>(({ yields }) => yields === true);
      const waiting = new Map<string, Item[]>();
      const busy = new Set<string>();
      for (const [number, { do: what, lane, ...more }] of commands.entries()) {
        const queue = waiting.get(lane) ?? [];
        if (what === 'push') {
          const item = { lane, number, ...more };
          lanes.push(lane, item);
          waiting.set(lane, [...queue, item]);
        } else if (what === 'next' || what === 'nextYielding') {
          const item = lanes[what]();
          const free = [...waiting].filter(([name, items]) => !busy.has(name) && items.length > 0 && isLive(items) === (what === 'next'));
          if (item === undefined) {
            expect(free).toEqual([]);
          } else {
            expect(busy.has(item.lane)).toBe(false);
            expect(free.map(([name]) => name)).toContain(item.lane);
            const [head, ...rest] = waiting.get(item.lane) ?? [];
            expect(item).toBe(head);
            waiting.set(item.lane, rest);
            busy.add(item.lane);
          }
        } else if (what === 'done') {
          if (!busy.delete(lane)) continue;
          lanes.done(lane);
        } else if (what === 'cut') {
          expect(lanes.cut(lane)).toEqual(queue);
          waiting.delete(lane);
        } else {
          const cut = lanes.cutAll();
          for (const [name, items] of waiting) expect(cut.filter((item) => item.lane === name)).toEqual(items);
          expect(cut.length).toBe([...waiting.values()].flat().length);
          waiting.clear();
        }
        expect(lanes.queued).toBe([...waiting.values()].flat().length);
        expect(lanes.live).toBe([...waiting.values()].flat().filter(({ yields }) => yields !== true).length);
        const heads = [...waiting.values()].filter(isLive).flatMap((items) => items.slice(0, 1)).map((item) => item.number);
        expect([...lanes.heads()].map((item) => item.number).toSorted((a, b) => a - b)).toEqual(heads.toSorted((a, b) => a - b));
      }
    }),
    { numRuns: 500 },
  );
});

test('thousands of lanes all have their turn', () => {
  const lanes = new Lanes<Item>();
  const names = Array.from({ length: 5_000 }, (_, n) => `lane ${n % 2_500}`);
  const items = fill(lanes, ...names);
  const seen: Item[] = [];
  for (let item = lanes.next(); item !== undefined; item = lanes.next()) {
    seen.push(item);
    lanes.done(item.lane);
  }
  expect(seen).toEqual(items);
});
