import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Ledger, type Entry } from '../../src/wal/ledger.js';

/** Opens a transaction with this many notifications on their way. */
function open(ledger: Ledger, lsn: bigint, pending: number, final = true): Entry {
  const entry = ledger.begin(lsn, final);
  entry.pending += pending;
  return entry;
}

describe('the LSN to confirm', () => {
  test('is the end of the longest run of settled transactions, whatever settled beyond a gap', () => {
    const ledger = new Ledger();
    const [first, second, third] = [open(ledger, 10n, 1), open(ledger, 20n, 1), open(ledger, 30n, 1)];
    for (const entry of [first, second, third]) ledger.close(entry);
    ledger.settle(third);
    ledger.settle(second);
    expect(ledger.confirmed).toBe(0n);
    expect(ledger.open).toBe(3);
    ledger.settle(first);
    expect(ledger.confirmed).toBe(30n);
    expect(ledger.open).toBe(0);
  });

  test('waits until a transaction is closed, though all that came of it so far has settled', () => {
    const ledger = new Ledger();
    const entry = open(ledger, 10n, 1);
    ledger.settle(entry);
    expect(ledger.confirmed).toBe(0n);
    entry.pending += 1;
    ledger.close(entry);
    expect(ledger.confirmed).toBe(0n);
    ledger.settle(entry);
    expect(ledger.confirmed).toBe(10n);
  });

  test('is never that of a part whose commit is still to come', () => {
    const ledger = new Ledger();
    ledger.close(open(ledger, 10n, 0));
    ledger.close(open(ledger, 999n, 0, false));
    ledger.close(open(ledger, 999n, 0, false));
    expect(ledger.confirmed).toBe(10n);
    const last = open(ledger, 50n, 1);
    ledger.close(last);
    expect(ledger.confirmed).toBe(10n);
    ledger.settle(last);
    expect(ledger.confirmed).toBe(50n);
  });

  test('is not reached past a part that is not settled', () => {
    const ledger = new Ledger();
    const part = open(ledger, 40n, 1, false);
    ledger.close(part);
    ledger.close(open(ledger, 50n, 0));
    expect(ledger.confirmed).toBe(0n);
    ledger.settle(part);
    expect(ledger.confirmed).toBe(50n);
  });

  test("follows the server's word only while nothing is open, and never goes back", () => {
    const ledger = new Ledger();
    ledger.idle(100n);
    expect(ledger.confirmed).toBe(100n);
    ledger.idle(90n);
    expect(ledger.confirmed).toBe(100n);
    const entry = open(ledger, 150n, 1);
    ledger.idle(200n);
    expect(ledger.confirmed).toBe(100n);
    ledger.close(entry);
    ledger.settle(entry);
    expect(ledger.confirmed).toBe(150n);
    ledger.idle(200n);
    expect(ledger.confirmed).toBe(200n);
  });

  test('begins anew with a new history, and what is left of the old one does not touch it', () => {
    const ledger = new Ledger();
    const [closed, unclosed] = [open(ledger, 1_000n, 1), open(ledger, 2_000n, 1)];
    ledger.close(closed);
    ledger.reset();
    expect(ledger.confirmed).toBe(0n);
    expect(ledger.open).toBe(0);
    const entry = open(ledger, 10n, 1);
    ledger.settle(closed);
    ledger.close(unclosed);
    ledger.settle(unclosed);
    expect(ledger.confirmed).toBe(0n);
    ledger.close(entry);
    ledger.settle(entry);
    expect(ledger.confirmed).toBe(10n);
  });
});

interface ModelEntry {
  readonly entry: Entry;
  readonly lsn: bigint;
  readonly final: boolean;
  pending: number;
  closed: boolean;
}

const command = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('begin' as const), step: fc.integer({ min: 1, max: 9 }), pending: fc.nat({ max: 3 }), final: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('close' as const), pick: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('idle' as const), step: fc.integer({ min: 0, max: 9 }) }) },
);

test('in any order of beginning, closing and settling it equals a model that looks at everything each time', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
      const ledger = new Ledger();
      const model: ModelEntry[] = [];
      let newest = 0n;
      let expected = 0n;
      for (const step of commands) {
        const before = ledger.confirmed;
        if (step.do === 'begin') {
          newest += BigInt(step.step);
          model.push({ entry: open(ledger, newest, step.pending, step.final), lsn: newest, final: step.final, pending: step.pending, closed: false });
        } else if (step.do === 'close') {
          const unclosed = model.filter((one) => !one.closed);
          const one = unclosed[step.pick % Math.max(1, unclosed.length)];
          if (one === undefined) continue;
          one.closed = true;
          ledger.close(one.entry);
        } else if (step.do === 'settle') {
          const pending = model.filter((one) => one.pending > 0);
          const one = pending[step.pick % Math.max(1, pending.length)];
          if (one === undefined) continue;
          one.pending -= 1;
          ledger.settle(one.entry);
        } else {
          newest += BigInt(step.step);
          ledger.idle(newest);
          if (model.every((one) => one.closed && one.pending === 0)) expected = newest;
        }
        const gap = model.findIndex((one) => !one.closed || one.pending > 0);
        const run = gap === -1 ? model : model.slice(0, gap);
        for (const one of run) if (one.final && one.lsn > expected) expected = one.lsn;
        expect(ledger.confirmed).toBe(expected);
        expect(ledger.confirmed >= before).toBe(true);
        expect(ledger.open).toBe(model.length - run.length);
      }
    }),
    { numRuns: 500 },
  );
});

test('thousands of transactions settle in windows that never let go of the head', () => {
  const ledger = new Ledger();
  const waiting: Entry[] = [];
  for (let n = 1n; n <= 10_000n; n += 1n) {
    const entry = open(ledger, n, 1);
    ledger.close(entry);
    waiting.push(entry);
    if (waiting.length < 50) continue;
    for (const late of waiting.splice(1).toReversed()) ledger.settle(late);
    expect(ledger.confirmed).toBe(n - 50n);
    for (const head of waiting.splice(0)) ledger.settle(head);
    expect(ledger.confirmed).toBe(n);
    expect(ledger.open).toBe(0);
  }
});

test('a long run of settled transactions is forgotten, and none of those behind it', () => {
  const ledger = new Ledger();
  const entries = Array.from({ length: 3_000 }, (_, n) => open(ledger, BigInt(n + 1), 1));
  for (const [n, entry] of entries.entries()) {
    ledger.close(entry);
    ledger.settle(entry);
    expect(ledger.confirmed).toBe(BigInt(n + 1));
    expect(ledger.open).toBe(2_999 - n);
  }
});

describe('what the stream brings once more', () => {
  test('shrinks with what is settled again, and its end is told once', () => {
    const ledger = new Ledger();
    const told: string[] = [];
    expect(ledger.repeating).toEqual({ from: 0n, to: 0n });
    ledger.repeat(10n, 30n, () => told.push('over'));
    expect(ledger.repeating).toEqual({ from: 10n, to: 30n });
    const [first, second] = [open(ledger, 20n, 1), open(ledger, 31n, 1)];
    for (const entry of [first, second]) ledger.close(entry);
    ledger.settle(first);
    expect(ledger.repeating).toEqual({ from: 20n, to: 30n });
    expect(told).toEqual([]);
    ledger.settle(second);
    ledger.idle(40n);
    expect(ledger.repeating).toEqual({ from: 40n, to: 0n });
    expect(told).toEqual(['over']);
  });

  test('is over at once where there is nothing, and forgotten with a history', () => {
    const ledger = new Ledger();
    const told: string[] = [];
    ledger.idle(30n);
    ledger.repeat(10n, 30n, () => told.push('over'));
    expect(told).toEqual(['over']);
    ledger.repeat(30n, 50n, () => told.push('never'));
    ledger.reset();
    ledger.idle(60n);
    expect(told).toEqual(['over']);
  });
});

/** Keeps everything, and looks at all of it each time. */
class NaiveLedger {
  readonly #transactions: { readonly lsn: bigint; pending: number; closed: boolean }[] = [];

  begin(lsn: bigint, final: boolean): number {
    return this.#transactions.push({ lsn: final ? lsn : 0n, pending: 0, closed: false }) - 1;
  }

  change(index: number, pending: number, closed: boolean): void {
    const transaction = this.#transactions[index];
    if (transaction !== undefined) Object.assign(transaction, { pending: transaction.pending + pending, closed: transaction.closed || closed });
  }

  get open(): number {
    return this.#transactions.length - this.#run().length;
  }

  get confirmed(): bigint {
    return this.#run().reduce((end, { lsn }) => (lsn > end ? lsn : end), 0n);
  }

  #run(): readonly { readonly lsn: bigint }[] {
    const first = this.#transactions.findIndex(({ pending, closed }) => pending > 0 || !closed);
    return first === -1 ? this.#transactions : this.#transactions.slice(0, first);
  }
}

test('however many settle behind one that does not, what is confirmed is the same, and what is kept is bounded by those that are not', () => {
  const transaction = fc.record({ empty: fc.integer({ min: 0, max: 900 }), parts: fc.integer({ min: 0, max: 3 }), pending: fc.integer({ min: 0, max: 2 }), settles: fc.nat({ max: 8 }) });
  fc.assert(
    fc.property(fc.array(transaction, { minLength: 1, maxLength: 15 }), (history) => {
      const [ledger, naive] = [new Ledger(), new NaiveLedger()];
      const underWay: { readonly entry: Entry; readonly index: number }[] = [];
      let lsn = 0n;
      const begin = (pending: number, final: boolean): void => {
        lsn += 10n;
        const [entry, index] = [open(ledger, lsn, pending, final), naive.begin(lsn, final)];
        ledger.close(entry);
        naive.change(index, pending, true);
        underWay.push(...Array.from({ length: pending }, () => ({ entry, index })));
      };
      const settle = (at: number): void => {
        const [one] = underWay.splice(at % Math.max(1, underWay.length), 1);
        if (one === undefined) return;
        ledger.settle(one.entry);
        naive.change(one.index, -1, false);
      };
      const check = (): void => {
        expect([ledger.confirmed, ledger.open]).toEqual([naive.confirmed, naive.open]);
        expect(ledger.size).toBeLessThanOrEqual(1_024 + 4 * (underWay.length + 1));
      };
      for (const { empty, parts, pending, settles } of history) {
        for (let part = 0; part < parts; part += 1) begin(pending, false);
        begin(pending, true);
        for (let index = 0; index < empty; index += 1) begin(0, true);
        for (let index = 0; index < settles % 3; index += 1) settle(settles * 7 + index);
        check();
      }
      while (underWay.length > 0) settle(underWay.length - 1);
      check();
      expect(ledger.open).toBe(0);
    }),
    { numRuns: 40 },
  );
});
