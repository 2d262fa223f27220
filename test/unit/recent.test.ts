import { expect, test } from 'vitest';
import { Recent } from '../../src/shape/recent.js';

const row = (text: string): { readonly text: string } => ({ text });

test('at least the newest half of what is allowed is remembered, and never more than all of it', () => {
  const recent = new Recent(2_000);
  for (let index = 0; index < 100; index += 1) recent.put(String(index), row('x'));
  const known = Array.from({ length: 100 }, (_, index) => index).filter((index) => recent.get(String(index)) !== null);
  // 101 characters each
  expect(known.length).toBeGreaterThanOrEqual(9);
  expect(known.length).toBeLessThanOrEqual(20);
  expect(known.at(-1)).toBe(99);
});

test('the newest row of a message counts, and a message that is told of often pushes no other out', () => {
  const recent = new Recent(2_000);
  recent.put('other', row('kept'));
  for (let index = 0; index < 1_000; index += 1) recent.put('busy', row(String(index)));
  expect(recent.get('busy')).toEqual(row('999'));
  expect(recent.get('other')).toEqual(row('kept'));
});

test('of a history that was left nothing is remembered', () => {
  const recent = new Recent(2_000);
  recent.put('1', row('a'));
  recent.clear();
  expect(recent.get('1')).toBe(null);
});
