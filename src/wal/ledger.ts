import type { Lsn } from '../lsn.js';

/** A transaction (or a part of one) on its way. Settled when it is closed and nothing of it is pending. */
export interface Entry {
  readonly lsn: Lsn;
  pending: number;
  closed: boolean;
  /** how many it stands for */
  readonly count: number;
}

/** Below so many it is not worth the while to put those together that are settled. */
const FEW = 1_024;

const NOTHING = { from: 0n, to: 0n };

/**
 * Which LSN may be confirmed: the end of the longest contiguous run of settled transactions, never
 * further. Entries are opened in commit order and settle in any order.
 */
export class Ledger {
  #entries: Entry[] = [];
  #head = 0;
  #open = 0;
  /** with so many entries those that are settled are put together */
  #many = FEW;
  #confirmed: Lsn = 0n;
  #newest: Lsn = 0n;
  #repeated: { readonly from: Lsn; readonly to: Lsn; readonly done: () => void } | null = null;

  /** The LSN to confirm; 0 while nothing is known. */
  get confirmed(): Lsn {
    return this.#confirmed;
  }

  /** How many transactions are not settled in a contiguous run. */
  get open(): number {
    return this.#open;
  }

  /** Entries in memory: at the most about twice as many as those that are not settled, however long one of them takes. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** @param final false for a part whose commit's end is not here yet: it is waited for, its LSN never confirmed */
  begin(lsn: Lsn, final: boolean): Entry {
    const entry: Entry = { lsn: final ? lsn : 0n, pending: 0, closed: false, count: 1 };
    if (this.size >= this.#many) this.#putTogether();
    this.#entries.push(entry);
    this.#open += 1;
    if (lsn >= this.#newest) this.#newest = lsn + 1n;
    return entry;
  }

  /** What is committed from here on has not been begun. */
  get next(): Lsn {
    return this.#newest > this.#confirmed ? this.#newest : this.#confirmed;
  }

  /** Nothing more is added to the entry. */
  close(entry: Entry): void {
    entry.closed = true;
    this.#advance();
  }

  settle(entry: Entry): void {
    entry.pending -= 1;
    if (entry.pending === 0 && entry.closed) this.#advance();
  }

  /** The stream begins at `from`, and brings once more what another process had before `to`. @param done called when all that is settled */
  repeat(from: Lsn, to: Lsn, done: () => void): void {
    this.#repeated = { from, to, done };
    if (from > this.#newest) this.#newest = from;
    this.#endRepeat();
  }

  /** What is yet to come once more, `to` exclusive; empty when nothing is. */
  get repeating(): { readonly from: Lsn; readonly to: Lsn } {
    const { from, to } = this.#repeated ?? NOTHING;
    return { from: this.#confirmed > from ? this.#confirmed : from, to };
  }

  /** The server says that there is nothing for us before this LSN. Call only when no transaction is open. */
  idle(lsn: Lsn): void {
    if (this.open > 0 || lsn <= this.#confirmed) return;
    this.#confirmed = lsn;
    this.#endRepeat();
  }

  /** A new slot: what was known of the old one's positions no longer holds. */
  reset(): void {
    this.#entries = [];
    this.#head = 0;
    this.#open = 0;
    this.#many = FEW;
    this.#confirmed = 0n;
    this.#newest = 0n;
    this.#repeated = null;
  }

  #endRepeat(): void {
    if (this.#repeated === null || this.#confirmed < this.#repeated.to) return;
    const { done } = this.#repeated;
    this.#repeated = null;
    done();
  }

  #advance(): void {
    for (let entry = this.#entries[this.#head]; entry?.closed === true && entry.pending === 0; entry = this.#entries[this.#head]) {
      if (entry.lsn > this.#confirmed) this.#confirmed = entry.lsn;
      this.#head += 1;
      this.#open -= entry.count;
    }
    // Cut in large steps: shift() on every entry would move the whole array.
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    this.#endRepeat();
  }

  /** Behind one that takes long, what settles could come for hours: empty transactions, which PostgreSQL 14 streams. */
  #putTogether(): void {
    const entries: Entry[] = [];
    for (const entry of this.#entries.slice(this.#head)) {
      const before = entries.at(-1);
      if (before === undefined || !isSettled(before) || !isSettled(entry)) entries.push(entry);
      else entries[entries.length - 1] = { ...entry, lsn: entry.lsn > before.lsn ? entry.lsn : before.lsn, count: before.count + entry.count };
    }
    this.#entries = entries;
    this.#head = 0;
    this.#many = Math.max(FEW, entries.length * 2);
  }
}

function isSettled({ pending, closed }: Entry): boolean {
  return closed && pending === 0;
}
