import type { Lsn } from '../lsn.js';
import type { Transaction } from '../types.js';
import type { Entry, Ledger } from './ledger.js';

/** A transaction that waits to be shaped, with its place in the ledger. */
export interface Arrival {
  readonly transaction: Transaction;
  readonly entry: Entry;
}

/**
 * Between the socket and the shaping: survives a reconnect, so what arrived once is not asked for
 * again. Bounded by its caller: when `bytes` is over the limit the socket is no longer read.
 */
export class Inbox {
  readonly #ledger: Ledger;
  #arrivals: Arrival[] = [];
  #bytes = 0;
  #takenCommit = 0n;
  #takenPart = -1;
  #waiter: (() => void) | null = null;
  #woken = false;
  #open = false;
  /** called when the inbox has been emptied, to read on */
  onDrain: (() => void) | null = null;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The commit of the newest transaction that came. */
  get newest(): Lsn {
    return this.#takenCommit;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Repeats, which the server sends after a reconnect, are left out. */
  push(transaction: Transaction): void {
    const { commitLsn, part } = transaction;
    if (commitLsn < this.#takenCommit || (commitLsn === this.#takenCommit && part <= this.#takenPart)) return;
    this.#takenCommit = commitLsn;
    this.#takenPart = part;
    const entry = this.#ledger.begin(transaction.endLsn, transaction.final);
    // An empty transaction, or one of tables that are not watched, is settled as it comes.
    if (transaction.changes.length === 0) {
      this.#ledger.close(entry);
      return;
    }
    this.#arrivals.push({ transaction, entry });
    this.#bytes += transaction.bytes;
    this.#waiter?.();
  }

  /** Ends a wait in `take` early. */
  wake(): void {
    this.#woken = true;
    this.#waiter?.();
  }

  /** There is someone to deliver to: what arrives may be taken from now on. */
  open(): void {
    this.#open = true;
    this.#waiter?.();
  }

  /**
   * Up to `limit` arrivals in commit order; none when woken. Nothing is taken before `open`: what has
   * nobody to go to would count as settled.
   */
  async take(limit: number): Promise<readonly Arrival[]> {
    while (!this.#woken && (!this.#open || this.#arrivals.length === 0)) {
      await new Promise<void>((resolve) => {
        this.#waiter = resolve;
      });
    }
    this.#waiter = null;
    this.#woken = false;
    const taken = this.#open ? this.#arrivals.splice(0, limit) : [];
    for (const { transaction } of taken) this.#bytes -= transaction.bytes;
    if (taken.length > 0) this.onDrain?.();
    return taken;
  }

  /** Forgets everything and is shut: another history begins (a new slot, another timeline, another leader). */
  reset(): void {
    this.#open = false;
    this.#arrivals = [];
    this.#bytes = 0;
    this.#takenCommit = 0n;
    this.#takenPart = -1;
    this.onDrain?.();
  }
}
