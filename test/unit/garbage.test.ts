import { execFile } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Garbage, Pressure } from '../../src/garbage.js';

test('the collector is called once for so much of large texts, and for small ones not at all', async () => {
  let calls = 0;
  const garbage = new Garbage(1_000_000, () => (calls += 1));
  for (let count = 0; count < 10_000; count += 1) garbage.add(100_000);
  await turn();
  expect(calls).toBe(0);
  for (let count = 0; count < 3; count += 1) garbage.add(300_000);
  await turn();
  expect(calls).toBe(0);
  // What comes before it is called belongs to the same.
  for (let count = 0; count < 10; count += 1) garbage.add(300_000);
  await turn();
  expect(calls).toBe(1);
  garbage.add(999_999);
  await turn();
  expect(calls).toBe(1);
  garbage.add(300_000);
  await turn();
  expect(calls).toBe(2);
});

test('memory that large texts took is given back', async () => {
  const garbage = new Garbage(50_000_000);
  const before = process.memoryUsage();
  let peak = 0;
  for (let count = 0; count < 100; count += 1) {
    const text = Buffer.alloc(10_000_000, 'x').toString('latin1');
    garbage.add(text.length);
    await turn();
    peak = Math.max(peak, process.memoryUsage().heapUsed - before.heapUsed);
  }
  expect(peak).toBeLessThan(150_000_000);
});

test('the collector comes at once and then sooner while the process has more than it should, and as ever when it has not for a minute', () => {
  let resident = 0;
  const said: (number | 'collect')[] = [];
  const pressure = new Pressure(200, () => resident, (percent) => said.push(percent), () => said.push('collect'));
  for (const [seconds, now] of [[0, 100], [1, 300], [2, 100], [30, 300], [60, 150], [89, 150], [91, 150], [92, 300]] as const) {
    resident = now;
    pressure.look(seconds * 1_000);
  }
  expect(said).toEqual([20, 'collect', 0, 20, 'collect']);
});

test('V8 has the setting by which it comes sooner', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--v8-options'], { maxBuffer: 10_000_000 });
  expect(stdout).toContain('--heap-growing-percent');
});
