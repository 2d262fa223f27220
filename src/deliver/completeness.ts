import { formatLsn, type Lsn } from '../lsn.js';
import type { Webhook } from '../types.js';

const NOTHING_KNOWN: readonly string[] = [];

/**
 * What can be said of an endpoint's completeness. Its notifications are delivered in any order, so it is known only at
 * moments: everything up to a position is delivered or has a row, and no row is there. A row that went away otherwise
 * than by being delivered is told by the stream; so what was seen counts only once the stream has come to where the
 * WAL ended when it was seen. Pure.
 */
export class Completeness {
  readonly #shard: readonly string[];
  #since: Lsn | null = null;
  /** what is noted of it, for the next process */
  #noted: Lsn | null = null;
  #seen: { readonly upTo: Lsn; readonly countsFrom: Lsn } | null = null;
  #headers: readonly string[] = NOTHING_KNOWN;

  /** @param shard "1/3": the messages of others are told by others; null: there are none */
  constructor(shard: string | null = null) {
    this.#shard = shard === null ? [] : ['slackchat-shard', shard];
  }

  /** For a request: it has received all that it was to be told of commits from the one position on and before the other. */
  get headers(): readonly string[] {
    return this.#headers;
  }

  /** It is told of everything that is committed from here on; of what was before, nothing is known. */
  begin(since: Lsn): void {
    this.#since = since;
    this.#seen = null;
    this.#headers = NOTHING_KNOWN;
  }

  /** It is not told of everything any more. */
  end(): void {
    this.begin(0n);
    this.#since = null;
  }

  /** It is told of everything from here on, and that is not noted; null: it is, or there is no such position. */
  get unnoted(): Lsn | null {
    return this.#since === this.#noted ? null : this.#since;
  }

  noted(since: Lsn): void {
    this.#noted = since;
  }

  /**
   * Its row is another than before; the first one says from where on an earlier process has told it everything.
   * @param at what is committed from here on is told as the row says now
   */
  changed(before: Webhook | null, now: Webhook, listening: boolean, at: Lsn): void {
    if (!listening) {
      this.end();
      return;
    }
    if (before === null && now.completeSince !== null && now.completeSince < at) {
      this.begin(now.completeSince);
      this.#noted = now.completeSince;
      return;
    }
    const from = now.deliverFrom !== null && now.deliverFrom > at ? now.deliverFrom : at;
    const wants = (webhook: Webhook): string => JSON.stringify([webhook.chatTypes, webhook.updateTypes]);
    const later = now.deliverFrom !== null && this.#since !== null && now.deliverFrom > this.#since;
    if (this.#since === null || before === null || wants(before) !== wants(now) || later) this.begin(from);
  }

  /**
   * It has no rows.
   * @param settled everything before was delivered or had a row, when that was looked for
   * @param walEnd where the WAL ended then, or later
   */
  noRows(settled: Lsn, walEnd: Lsn): void {
    if (this.#since !== null && settled > this.#since) this.#seen = { upTo: settled, countsFrom: walEnd };
  }

  /** The stream has come to here, and all before is delivered or has a row. */
  passed(settled: Lsn): void {
    if (this.#since === null || this.#seen === null || settled < this.#seen.countsFrom) return;
    this.#headers = ['slackchat-resolved-since', formatLsn(this.#since), 'slackchat-resolved-lsn', formatLsn(this.#seen.upTo), ...this.#shard];
    this.#seen = null;
  }

  /** It waits for the stream: another look would only put it off. */
  get waits(): boolean {
    return this.#seen !== null;
  }
}
