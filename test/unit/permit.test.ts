import { expect, test } from 'vitest';
import { Permit, TICK_MS } from '../../src/deliver/permit.js';

/** Ticks from one moment to another, both exclusive. @returns the moments at which requests could be begun again */
function ticking(permit: Permit, from: number, to: number): number[] {
  const again: number[] = [];
  for (let now = from + TICK_MS; now < to; now += TICK_MS) if (permit.tick(now)) again.push(now);
  return again;
}

test('requests are begun from the time that the lead is taken until the stream is lost', () => {
  const permit = new Permit();
  ticking(permit, 0, 5_000);
  expect(permit.holds(5_000)).toBe(false);
  permit.give(5_000);
  expect(permit.holds(5_000)).toBe(true);
  expect(ticking(permit, 5_000, 9_000)).toEqual([]);
  expect(permit.holds(9_000)).toBe(true);
  permit.withdraw();
  expect(permit.holds(9_000)).toBe(false);
});

test('a process that stood still begins none before it has had time to hear what happened meanwhile', () => {
  const permit = new Permit();
  permit.give(0);
  ticking(permit, 0, 1_000);
  // As soon as it goes on, before any timer.
  expect(permit.holds(5_000)).toBe(false);
  expect(permit.tick(5_000)).toBe(false);
  expect(permit.holds(5_000)).toBe(false);
  expect(ticking(permit, 5_000, 6_000)).toEqual([5_300]);
  expect(permit.holds(6_000)).toBe(true);
});

test('what was heard then takes it away', () => {
  const permit = new Permit();
  permit.give(0);
  permit.tick(5_000);
  permit.withdraw();
  expect(ticking(permit, 5_000, 9_000)).toEqual([]);
});

test('a pause that any busy process makes is none', () => {
  const permit = new Permit();
  permit.give(0);
  permit.tick(900);
  expect(permit.holds(1_800)).toBe(true);
});
