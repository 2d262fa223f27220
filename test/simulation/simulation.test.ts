import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { simulate, steps } from './history.js';

/** So many histories; more of them: SIMULATIONS=10000 npx vitest run test/simulation */
const HISTORIES = Number(process.env['SIMULATIONS'] ?? 300);

test('nothing is lost, nothing is told out of order, and the last state told is the last, whatever fails when', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), steps, async (seed, history) => {
      expect(await simulate(seed, history)).toEqual([]);
    }),
    { numRuns: HISTORIES },
  );
});
