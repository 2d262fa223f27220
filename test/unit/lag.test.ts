import { expect, test } from 'vitest';
import { Lag } from '../../src/lag.js';

test('what was there at a look and is confirmed does not count as behind', () => {
  const lag = new Lag();
  lag.look(100n, 0);
  expect(lag.seconds(100n, 4_000)).toBe(0);
  lag.look(200n, 5_000);
  expect(lag.seconds(250n, 9_000)).toBe(0);
});

test('behind is the time since the first look at which there was more than is confirmed', () => {
  const lag = new Lag();
  lag.look(100n, 0);
  lag.look(200n, 5_000);
  lag.look(300n, 10_000);
  expect(lag.seconds(100n, 12_000)).toBe(7);
  // It goes on growing although nobody looks, because the server is away.
  expect(lag.seconds(100n, 60_000)).toBe(55);
  expect(lag.seconds(200n, 60_000)).toBe(50);
  expect(lag.seconds(300n, 60_000)).toBe(0);
});

test('days behind are known and take little memory', () => {
  const lag = new Lag();
  for (let at = 0; at <= 3 * 86_400_000; at += 5_000) lag.look(BigInt(at + 1), at);
  expect(lag.seconds(0n, 3 * 86_400_000)).toBe(3 * 86_400);
  // Not to the second any more, but never less than a look ago.
  const half = lag.seconds(BigInt(1.5 * 86_400_000), 3 * 86_400_000);
  expect(half).toBeLessThanOrEqual(1.5 * 86_400);
  expect(half).toBeGreaterThan(1.4 * 86_400);
});

test('positions of another history are forgotten', () => {
  const lag = new Lag();
  lag.look(1_000n, 0);
  lag.look(50n, 5_000);
  expect(lag.seconds(50n, 6_000)).toBe(0);
});
