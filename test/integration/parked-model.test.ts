import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { ParkedNote, ParkedOutcome, Parking } from '../../src/deliver/parking.js';
import { ParkedStore } from '../../src/store/parked.js';
import { Term } from '../../src/store/term.js';
import { DeliveryRows, type Repeating } from '../simulation/rows.js';
import { createDatabase } from '../support/database.js';

// The simulation's rows against the real ones: what holds there is worth nothing if they differ.

const MIGRATIONS = join(import.meta.dirname, '../../sql/migrations');
const FAR_MS = 1_000_000;
const ALL = 1_000;

type Call =
  | { readonly kind: 'park'; readonly rows: readonly { readonly id: number; readonly lane: number; readonly when: 'past' | 'never' | 'later'; readonly attempts: number; readonly dead: boolean; readonly text: string; readonly about: string | null; readonly tells: boolean; readonly replay: boolean }[]; readonly remove: readonly number[] }
  | { readonly kind: 'finish'; readonly outcomes: readonly { readonly id: number; readonly kind: ParkedOutcome['kind']; readonly later: boolean }[] }
  | { readonly kind: 'due'; readonly exceptLane: number; readonly rows: number; readonly least: boolean; readonly held: boolean; readonly yielding: boolean; readonly from: number; readonly to: number }
  | { readonly kind: 'waiting'; readonly of: readonly { readonly lane: number; readonly messageId: string }[] }
  | { readonly kind: 'next'; readonly yielding: boolean }
  | { readonly kind: 'lanes' | 'expire' };

const id = fc.nat({ max: 11 });
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('park' as const), rows: fc.uniqueArray(fc.record({ id, lane: fc.nat({ max: 2 }), when: fc.constantFrom('past' as const, 'never' as const, 'never' as const, 'later' as const), attempts: fc.nat({ max: 2 }), dead: fc.constantFrom(false, false, false, true), text: fc.constantFrom('a', 'b'), about: fc.constantFrom('m1', 'm2', null), tells: fc.boolean(), replay: fc.boolean() }), { minLength: 1, maxLength: 4, selector: (row) => row.id }), remove: fc.uniqueArray(id, { maxLength: 2 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('finish' as const), outcomes: fc.uniqueArray(fc.record({ id, kind: fc.constantFrom('delivered' as const, 'dropped' as const, 'retry' as const, 'dead' as const), later: fc.boolean() }), { minLength: 1, maxLength: 3, selector: (outcome) => outcome.id }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('due' as const), exceptLane: fc.nat({ max: 5 }), rows: fc.integer({ min: 1, max: 12 }), least: fc.boolean(), held: fc.boolean(), yielding: fc.boolean(), from: fc.nat({ max: 12 }), to: fc.nat({ max: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('waiting' as const), of: fc.array(fc.record({ lane: fc.nat({ max: 2 }), messageId: fc.constantFrom('m1', 'm2') }), { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('next' as const), yielding: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('lanes' as const, 'expire' as const) }) },
);

const laneName = (number: number): string => `${number === 2 ? 'channel' : 'message'}:${number}`;
const sorted = (list: readonly string[]): readonly string[] => list.toSorted();

/** What it answers, as text that both must agree on. */
async function answer(parking: Parking, one: Call, begin: number): Promise<unknown> {
  switch (one.kind) {
    case 'park':
      return sorted(await parking.park('1', one.rows.map(({ id: number, lane, when, attempts, dead, text, about, tells, replay }): ParkedNote => ({
        notificationId: `n${number}`, lsn: BigInt(number), seq: 0, channelId: 'c', lane: laneName(lane), body: `{"${text}":1}`, attempts, dead,
        messageId: about, updateType: tells && about !== null ? 'message_changed' : null, repeated: false, replay, begun: attempts > 0,
        firstAttemptAt: attempts === 0 ? null : begin, lastStatus: null, lastError: dead ? 'too large' : null,
        nextAttemptAt: dead || when === 'never' ? null : when === 'past' ? begin - FAR_MS : begin + FAR_MS,
      })), one.remove.map((number) => `n${number}`)));
    case 'waiting': {
      const rows = await parking.waiting('1', one.of.map(({ lane, messageId }) => ({ lane: laneName(lane), messageId })));
      return sorted(rows.map(({ notificationId, lane, messageId, updateType, begun }) => `${notificationId} ${lane} ${String(messageId)} ${String(updateType)} ${String(begun)}`));
    }
    case 'finish':
      return sorted(await parking.finish('1', one.outcomes.map(({ id: number, kind, later }): ParkedOutcome => {
        // Whatever lane it is in: a real one would name its own.
        const lane = laneName(number % 3);
        if (kind === 'delivered' || kind === 'dropped') return { kind, notificationId: `n${number}`, lane };
        return { kind, notificationId: `n${number}`, lane, status: 500, reason: 'x', attempts: 3, nextAttemptAt: later ? begin + FAR_MS : begin - FAR_MS };
      })));
    case 'due': {
      const rows = await parking.due('1', { lanes: ALL, rows: one.rows, bytes: 1e6 }, { lanes: [laneName(one.exceptLane)], whileRepeating: one.held, yielding: one.yielding }, one.least);
      const shown = rows.map(({ notificationId, lane, lsn, body, attempts, firstAttemptAt, replay, yields }) => `${notificationId} ${lane} ${lsn} ${String(body)} ${attempts} ${String(firstAttemptAt !== null)} ${String(replay)} ${String(yields)}`);
      // Those with the same time come in any order.
      return sorted(shown);
    }
    case 'next': {
      const at = await parking.nextDueAt('1', { lanes: [], whileRepeating: false, yielding: one.yielding });
        // Never -0, which is not equal to 0 here.
        return at === null ? null : Math.round((at - begin) / FAR_MS) + 0;
    }
    case 'lanes': {
      const lanes = await parking.lanes('1', ALL);
      return sorted(lanes ?? []);
    }
    case 'expire':
      return parking.expire('1', FAR_MS, 'given up');
    default:
      return null;
  }
}

test('the rows of the simulation answer as those of the database do', { timeout: 60_000 }, async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.query('CREATE SCHEMA slackchat_bridge');
  for (const name of (await readdir(MIGRATIONS)).toSorted()) await db.query(await readFile(join(MIGRATIONS, name), 'utf8'));
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1/')");
  const term = new Term(db.pool, 'slot');
  await term.take();
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 4, maxLength: 25 }), async (calls) => {
      await db.query('DELETE FROM slackchat_bridge.deliveries');
      const repeating: { now: Repeating } = { now: { from: 0n, to: 0n } };
      const real = new ParkedStore(db.pool, term, () => repeating.now);
      const simulated = new DeliveryRows().parking(() => repeating.now);
      const begin = Date.now();
      for (const one of calls) {
        if (one.kind === 'due') repeating.now = { from: BigInt(one.from), to: BigInt(one.to) };
        expect(await answer(simulated, one, begin)).toEqual(await answer(real, one, begin));
      }
    }),
    { numRuns: 40 },
  );
});
