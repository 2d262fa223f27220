import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StreamError } from '../../src/errors.js';
import type { Transaction } from '../../src/types.js';
import type { WalMessage } from '../../src/wal/decoder.js';
import { TransactionAssembler } from '../../src/wal/transactions.js';

const begin = (xid: number, commitLsn: bigint): WalMessage => ({ tag: 'begin', xid, commitLsn, committedAt: 1_000 + xid });
const commit = (endLsn: bigint): WalMessage => ({ tag: 'commit', endLsn });
const row = (id: number): WalMessage => ({ tag: 'row', change: { op: 'insert', entity: 'message', before: null, after: { id: String(id) } } });

/** A transaction of rows of these sizes. */
function rowsOf(sizes: readonly number[]): [WalMessage, number][] {
  return [[begin(1, 5n), 20], ...sizes.map((size, index): [WalMessage, number] => [row(index), size]), [commit(9n), 20]];
}

/** Pushes all and returns what came out. */
function assemble(assembler: TransactionAssembler, messages: readonly (readonly [WalMessage, number])[]): Transaction[] {
  return messages.map(([message, bytes]) => assembler.push(message, bytes)).filter((transaction) => transaction !== null);
}

describe('a transaction', () => {
  test('is what came between begin and commit, in order, with the end of its commit', () => {
    const [transaction, ...more] = assemble(new TransactionAssembler(1_000), [
      [begin(7, 100n), 21],
      [row(1), 30],
      [{ tag: 'truncate', entities: ['message', 'reaction'] }, 20],
      [{ tag: 'control', content: '{"a":1}' }, 10],
      [commit(120n), 26],
    ]);
    expect(more).toEqual([]);
    expect(transaction).toEqual({
      xid: 7,
      commitLsn: 100n,
      endLsn: 120n,
      committedAt: 1_007,
      changes: [
        { kind: 'row', index: 0, op: 'insert', entity: 'message', before: null, after: { id: '1' } },
        { kind: 'truncate', index: 1, entities: ['message', 'reaction'] },
        { kind: 'control', index: 2, content: '{"a":1}' },
      ],
      bytes: 60,
      part: 0,
      final: true,
    });
  });

  test('can be empty', () => {
    expect(
      assemble(new TransactionAssembler(10), [
        [begin(1, 5n), 99],
        [commit(6n), 99],
      ]),
    ).toMatchObject([{ changes: [], bytes: 0, part: 0, final: true, endLsn: 6n }]);
  });

  test('is open from its begin to its commit, parts included', () => {
    const assembler = new TransactionAssembler(10);
    expect(assembler.open).toBe(false);
    assembler.push(begin(1, 5n), 1);
    expect(assembler.open).toBe(true);
    expect(assembler.push(row(1), 10)).toMatchObject({ final: false });
    expect(assembler.open).toBe(true);
    assembler.push(commit(6n), 1);
    expect(assembler.open).toBe(false);
  });

  test('cannot begin inside another, and nothing can come outside one', () => {
    const assembler = new TransactionAssembler(10);
    expect(() => assembler.push(commit(1n), 1)).toThrow(StreamError);
    expect(() => assembler.push(row(1), 1)).toThrow(StreamError);
    assembler.push(begin(1, 5n), 1);
    expect(() => assembler.push(begin(2, 6n), 1)).toThrow(StreamError);
  });
});

describe('a very large transaction', () => {
  test('goes on in parts of at least so many bytes; indexes go on counting, only the last is final and has the end', () => {
    const assembler = new TransactionAssembler(100);
    const parts = assemble(assembler, [
      [begin(7, 500n), 1],
      [row(0), 60],
      [row(1), 39],
      [row(2), 1],
      [row(3), 250],
      [row(4), 5],
      [commit(520n), 1],
    ]);
    expect(parts.map(({ part, final, endLsn, bytes, changes }) => ({ part, final, endLsn, bytes, indexes: changes.map((change) => change.index) }))).toEqual([
      { part: 0, final: false, endLsn: 500n, bytes: 100, indexes: [0, 1, 2] },
      { part: 1, final: false, endLsn: 500n, bytes: 250, indexes: [3] },
      { part: 2, final: true, endLsn: 520n, bytes: 5, indexes: [4] },
    ]);
    expect(parts.every(({ xid, commitLsn, committedAt }) => xid === 7 && commitLsn === 500n && committedAt === 1_007)).toBe(true);
    expect(
      assemble(assembler, [
        [begin(8, 600n), 1],
        [row(9), 5],
        [commit(620n), 1],
      ]),
    ).toMatchObject([{ part: 0, final: true, bytes: 5, changes: [{ index: 0 }] }]);
  });

  test('that was cut at its very end still gets a last part, for its commit', () => {
    const parts = assemble(new TransactionAssembler(100), [
      [begin(7, 500n), 1],
      [row(0), 100],
      [commit(520n), 1],
    ]);
    expect(parts).toMatchObject([
      { part: 0, final: false },
      { part: 1, final: true, endLsn: 520n, changes: [] },
    ]);
  });

  test('is cut at the same places when it is sent again, whatever came before it; nothing is lost and no part is larger than it must be', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 });
    fc.assert(
      fc.property(sizes, fc.array(sizes, { maxLength: 3 }), fc.integer({ min: 1, max: 200 }), (bytes, before, limit) => {
        const fresh = assemble(new TransactionAssembler(limit), rowsOf(bytes));
        const later = new TransactionAssembler(limit);
        for (const other of before) assemble(later, rowsOf(other));
        expect(assemble(later, rowsOf(bytes))).toEqual(fresh);

        expect(fresh.flatMap(({ changes }) => changes.map((change) => change.index))).toEqual(bytes.map((_, index) => index));
        expect(fresh.map(({ part }) => part)).toEqual(fresh.map((_, index) => index));
        expect(fresh.map(({ final }) => final)).toEqual(fresh.map((_, index) => index === fresh.length - 1));
        expect(fresh.reduce((sum, part) => sum + part.bytes, 0)).toBe(bytes.reduce((sum, size) => sum + size, 0));
        for (const part of fresh) {
          if (part.final) expect(part.bytes).toBeLessThan(limit);
          else {
            expect(part.bytes).toBeGreaterThanOrEqual(limit);
            expect(part.bytes - (bytes[part.changes.at(-1)?.index ?? 0] ?? 0)).toBeLessThan(limit);
          }
        }
      }),
    );
  });
});
