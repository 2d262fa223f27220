import { StreamError } from '../errors.js';
import type { Change, Transaction } from '../types.js';
import type { WalMessage } from './decoder.js';

type Begin = Extract<WalMessage, { tag: 'begin' }>;

/**
 * Collects the messages between begin and commit. The server sends a transaction only after its
 * commit, so a very large one may go on in parts of about `partBytes` before its end is here; the
 * cut depends on the transaction's own bytes alone, so that a repeat is cut at the same places.
 */
export class TransactionAssembler {
  readonly #partBytes: number;
  #begin: Begin | null = null;
  #changes: Change[] = [];
  #bytes = 0;
  #index = 0;
  #part = 0;

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  /** True between a begin and its commit. */
  get open(): boolean {
    return this.#begin !== null;
  }

  /** @param bytes size of the message on the wire */
  push(message: WalMessage, bytes: number): Transaction | null {
    if (message.tag === 'begin') {
      if (this.#begin !== null) throw new StreamError('the server began a transaction inside another');
      this.#begin = message;
      return null;
    }
    const begin = this.#begin;
    if (begin === null) throw new StreamError(`the server sent '${message.tag}' outside a transaction`);
    if (message.tag === 'commit') {
      const transaction = this.#cut(begin, message.endLsn, true);
      this.#begin = null;
      this.#index = 0;
      this.#part = 0;
      return transaction;
    }
    const index = this.#index++;
    if (message.tag === 'row') {
      this.#changes.push({ kind: 'row', index, ...message.change });
    } else if (message.tag === 'truncate') {
      this.#changes.push({ kind: 'truncate', index, entities: message.entities });
    } else {
      this.#changes.push({ kind: 'control', index, content: message.content });
    }
    this.#bytes += bytes;
    return this.#bytes >= this.#partBytes ? this.#cut(begin, begin.commitLsn, false) : null;
  }

  #cut(begin: Begin, endLsn: bigint, final: boolean): Transaction {
    const transaction: Transaction = {
      xid: begin.xid,
      commitLsn: begin.commitLsn,
      endLsn,
      committedAt: begin.committedAt,
      changes: this.#changes,
      bytes: this.#bytes,
      part: this.#part++,
      final,
    };
    this.#changes = [];
    this.#bytes = 0;
    return transaction;
  }
}
