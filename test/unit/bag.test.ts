import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bag } from '../../src/deliver/bag.js';

test('a bag holds what a set would, whatever comes and goes, and twice', () => {
  const step = fc.record({ add: fc.boolean(), which: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const items = Array.from({ length: 10 }, (_, name) => ({ name, place: 0 }));
      const bag = new Bag<{ readonly name: number; place: number }>();
      const set = new Set<number>();
      for (const { add, which } of steps) {
        const item = items[which];
        if (item === undefined || (add && set.has(which))) continue;
        if (add) bag.add(item);
        else bag.delete(item);
        if (add) set.add(which);
        else set.delete(which);
        expect(bag.size).toBe(set.size);
        expect(bag.items().map(({ name }) => name).sort()).toEqual([...set].sort());
      }
    }),
  );
});
