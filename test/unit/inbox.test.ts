import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Transaction } from '../../src/types.js';
import { Inbox } from '../../src/wal/inbox.js';
import { Ledger } from '../../src/wal/ledger.js';

function transaction(commitLsn: bigint, { part = 0, final = true, bytes = 10, empty = false } = {}): Transaction {
  const changes = empty ? [] : [{ kind: 'control' as const, index: 0, content: `${commitLsn}.${part}` }];
  return { xid: Number(commitLsn), commitLsn, endLsn: commitLsn + 1n, committedAt: 0, changes, bytes: empty ? 0 : bytes, part, final };
}

/** An inbox from which may be taken. */
function opened(ledger = new Ledger()): Inbox {
  const inbox = new Inbox(ledger);
  inbox.open();
  return inbox;
}

const names = (arrivals: readonly { readonly transaction: Transaction }[]): string[] =>
  arrivals.map(({ transaction: { commitLsn, part } }) => `${commitLsn}.${part}`);

describe('the inbox', () => {
  test('hands out what came, in order, up to the limit, and knows its bytes', async () => {
    const inbox = opened();
    for (const lsn of [10n, 20n, 30n]) inbox.push(transaction(lsn, { bytes: Number(lsn) }));
    expect(inbox.bytes).toBe(60);
    expect(names(await inbox.take(2))).toEqual(['10.0', '20.0']);
    expect(inbox.bytes).toBe(30);
    expect(names(await inbox.take(2))).toEqual(['30.0']);
    expect(inbox.bytes).toBe(0);
  });

  test('leaves out what is sent again, parts of a transaction too, and takes what follows', async () => {
    const ledger = new Ledger();
    const inbox = opened(ledger);
    inbox.push(transaction(10n));
    inbox.push(transaction(20n, { part: 0, final: false }));
    inbox.push(transaction(20n, { part: 1, final: false }));
    // the connection breaks, and the server begins again before all of it
    for (const again of [transaction(5n), transaction(10n), transaction(20n, { part: 0, final: false }), transaction(20n, { part: 1, final: false })])
      inbox.push(again);
    expect(ledger.open).toBe(3);
    inbox.push(transaction(20n, { part: 2 }));
    inbox.push(transaction(30n));
    expect(names(await inbox.take(10))).toEqual(['10.0', '20.0', '20.1', '20.2', '30.0']);
    inbox.push(transaction(30n));
    inbox.push(transaction(40n));
    expect(names(await inbox.take(10))).toEqual(['40.0']);
  });

  test('whatever the server repeats after whatever breaks, each part is handed out once and in order', async () => {
    const parts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(parts, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 6 }), async (counts, breaks) => {
        const all = counts.flatMap((count, at) =>
          Array.from({ length: count }, (_, part) => transaction(BigInt(at + 1) * 10n, { part, final: part === count - 1 })),
        );
        const begins = all.flatMap(({ part }, index) => (part === 0 ? [index] : []));
        const inbox = opened();
        let position = 0;
        const seen: string[] = [];
        for (const [length, back] of [...breaks, [all.length, 0] as const]) {
          const end = Math.min(all.length, position + (length % (all.length + 1)));
          for (const one of all.slice(position, end)) inbox.push(one);
          if (inbox.bytes > 0) seen.push(...names(await inbox.take(100)));
          // it goes back to the begin of some transaction
          const candidates = begins.filter((index) => index <= end);
          position = candidates[back % candidates.length] ?? 0;
        }
        for (const one of all.slice(position)) inbox.push(one);
        if (inbox.bytes > 0) seen.push(...names(await inbox.take(100)));
        expect(seen).toEqual(names(all.map((one) => ({ transaction: one }))));
      }),
    );
  });

  test('settles what holds nothing for us by itself, at its place in the order', async () => {
    const ledger = new Ledger();
    const inbox = opened(ledger);
    inbox.push(transaction(10n, { empty: true }));
    expect(ledger.confirmed).toBe(11n);
    inbox.push(transaction(20n));
    inbox.push(transaction(30n, { empty: true }));
    expect(ledger.confirmed).toBe(11n);
    const [arrival, ...more] = await inbox.take(10);
    expect(more).toEqual([]);
    if (arrival !== undefined) ledger.close(arrival.entry);
    expect(ledger.confirmed).toBe(31n);
  });

  test('confirms no part whose commit is still to come', async () => {
    const ledger = new Ledger();
    const inbox = opened(ledger);
    inbox.push(transaction(10n, { final: false }));
    for (const { entry } of await inbox.take(1)) ledger.close(entry);
    expect(ledger.confirmed).toBe(0n);
    inbox.push(transaction(10n, { part: 1, empty: true }));
    expect(ledger.confirmed).toBe(11n);
  });
});

describe('taking from an empty inbox', () => {
  test('waits for the next arrival', async () => {
    const inbox = opened();
    const taking = inbox.take(5);
    inbox.push(transaction(10n));
    expect(names(await taking)).toEqual(['10.0']);
  });

  test('ends with nothing when it is woken, also when the call came before', async () => {
    const inbox = opened();
    const taking = inbox.take(5);
    inbox.wake();
    expect(await taking).toEqual([]);
    inbox.wake();
    expect(await inbox.take(5)).toEqual([]);
    // one call wakes once
    const waiting = inbox.take(5);
    inbox.push(transaction(10n));
    expect(names(await waiting)).toEqual(['10.0']);
  });

  test('is not ended by what is left out or holds nothing', async () => {
    const inbox = opened();
    inbox.push(transaction(10n));
    await inbox.take(5);
    const taking = inbox.take(5);
    inbox.push(transaction(10n));
    inbox.push(transaction(20n, { empty: true }));
    inbox.push(transaction(30n));
    expect(names(await taking)).toEqual(['30.0']);
  });
});

describe('an inbox that is shut', () => {
  test('takes in, but hands out nothing until it is opened, though it is woken', async () => {
    const ledger = new Ledger();
    const inbox = new Inbox(ledger);
    inbox.push(transaction(10n));
    inbox.wake();
    expect(await inbox.take(5)).toEqual([]);
    expect(inbox.bytes).toBe(10);
    const taking = inbox.take(5);
    inbox.push(transaction(20n));
    inbox.open();
    expect(names(await taking)).toEqual(['10.0', '20.0']);
    expect(ledger.confirmed).toBe(0n);
  });

  test('is what another history finds, until there is someone to deliver to', async () => {
    const inbox = opened();
    inbox.reset();
    inbox.push(transaction(10n));
    inbox.wake();
    expect(await inbox.take(5)).toEqual([]);
    inbox.open();
    expect(names(await inbox.take(5))).toEqual(['10.0']);
  });
});

test('whoever stopped reading hears that there is room again, and only then', async () => {
  const inbox = opened();
  const heard: number[] = [];
  inbox.onDrain = () => heard.push(inbox.bytes);
  inbox.push(transaction(10n));
  inbox.push(transaction(20n));
  expect(heard).toEqual([]);
  await inbox.take(1);
  expect(heard).toEqual([10]);
  inbox.wake();
  await inbox.take(1);
  expect(heard).toEqual([10, 0]);
  inbox.wake();
  expect(await inbox.take(1)).toEqual([]);
  expect(heard).toEqual([10, 0]);
});

test('another history begins: what waited is forgotten, earlier positions count anew, and there is room', async () => {
  const inbox = opened();
  let drained = 0;
  inbox.onDrain = () => {
    drained += 1;
  };
  inbox.push(transaction(1_000n, { part: 3, final: false }));
  inbox.reset();
  expect(inbox.bytes).toBe(0);
  expect(drained).toBe(1);
  inbox.open();
  inbox.push(transaction(10n, { part: 0, final: false }));
  inbox.push(transaction(10n, { part: 1 }));
  expect(names(await inbox.take(10))).toEqual(['10.0', '10.1']);
});
