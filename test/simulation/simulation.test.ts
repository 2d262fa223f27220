import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { simulate, steps } from './history.js';

/** The same 300 histories every time; others, and more of them: SIMULATIONS=10000 npx vitest run test/simulation */
const { SIMULATIONS } = process.env;
const HISTORIES = SIMULATIONS === undefined ? { numRuns: 300, seed: 1 } : { numRuns: Number(SIMULATIONS) };

test('nothing is lost, nothing is told out of order, and the last state told is the last, whatever fails when', { timeout: Math.max(120_000, HISTORIES.numRuns * 50) }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), steps, async (seed, history) => {
      expect(await simulate(seed, history)).toEqual([]);
    }),
    HISTORIES,
  );
});

test('a change of children that was parked, and comes once more beside a later write of its message, is not told as it was', async () => {
  expect(await simulate(5, [
    { kind: 'receiver', endpoint: 0, manner: 'error' },
    // What is under way there keeps all of it from being confirmed.
    { kind: 'receiver', endpoint: 1, manner: 'hang' },
    { kind: 'commit', deeds: [{ kind: 'say', channel: 0, maintained: true }] },
    { kind: 'commit', deeds: [{ kind: 'touch', message: 0 }] },
    { kind: 'commit', deeds: [{ kind: 'child', message: 0, entity: 'reaction' }] },
    { kind: 'wait', ms: 1_000 },
    { kind: 'kill', ms: 1 },
    { kind: 'commit', deeds: [{ kind: 'edit', message: 0 }] },
  ])).toEqual([]);
});

test('rows whose writing was answered by a broken connection do not collapse twice: a message that was told, and then went, is told as gone', async () => {
  expect(await simulate(555_635_646, [
    { kind: 'database', manner: 'flaky' },
    { kind: 'commit', deeds: [{ kind: 'resync' }] },
    { kind: 'kill', ms: 1 },
    { kind: 'commit', deeds: [{ kind: 'say', channel: 0, maintained: false }] },
    { kind: 'commit', deeds: [{ kind: 'move', message: 0, channel: 0 }] },
    { kind: 'commit', deeds: [{ kind: 'child', message: 0, entity: 'reaction' }] },
    { kind: 'receiver', endpoint: 3, manner: 'busy' },
    { kind: 'commit', deeds: [{ kind: 'edit', message: 0 }] },
    { kind: 'wait', ms: 3_000 },
    { kind: 'kill', ms: 1 },
    { kind: 'hang', ms: 1_500 },
    { kind: 'commit', deeds: [{ kind: 'request', channel: 1, type: 'request_update' }] },
    { kind: 'commit', deeds: [{ kind: 'edit', message: 0 }] },
    { kind: 'commit', deeds: [{ kind: 'delete', message: 0 }] },
  ])).toEqual([]);
});

test.each([3, 4])('what was told of a message in the channel to which it moves later, and goes, is told to have gone there: endpoint %i', async (endpoint) => {
  expect(await simulate(1, [
    { kind: 'commit', deeds: [{ kind: 'say', channel: 0, maintained: false }] },
    { kind: 'wait', ms: 1_000 },
    { kind: 'receiver', endpoint, manner: 'slow' },
    // Both are committed before the first is read for.
    { kind: 'commit', deeds: [{ kind: 'child', message: 0, entity: 'reaction' }] },
    { kind: 'commit', deeds: [{ kind: 'move', message: 0, channel: 1 }] },
    { kind: 'wait', ms: 300 },
    { kind: 'commit', deeds: [{ kind: 'delete', message: 0 }] },
  ])).toEqual([]);
});
