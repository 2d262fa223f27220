import type { Dispatcher } from './deliver/dispatcher.js';
import { errorMessage } from './errors.js';
import type { Logger } from './log.js';
import type { CompletenessStore } from './store/completeness.js';
import { delay } from './time.js';
import type { Ledger } from './wal/ledger.js';

const INTERVAL_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Finds out which endpoints have everything, while something happens: one short query each time. From where on they have it
 * is noted when that changes, which is seldom, so that it holds after a restart.
 */
export class Resolver {
  readonly #store: CompletenessStore;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #looking = false;
  #lookedAt = 0n;
  #noting = false;
  /** told once what is noted is no older than what is known */
  #waiting: (() => void)[] = [];

  constructor(store: CompletenessStore, ledger: Ledger, dispatcher: Dispatcher, log: Logger) {
    this.#store = store;
    this.#ledger = ledger;
    this.#dispatcher = dispatcher;
    this.#log = log;
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#looking) return;
      this.#looking = true;
      this.#look().catch((error: unknown) => this.#log.debug({ reason: errorMessage(error) }, 'it is not known which endpoints have everything'))
        .finally(() => { this.#looking = false; });
    }, INTERVAL_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#stopped.abort();
  }

  /**
   * Something was removed that had not arrived.
   * @param done called once nothing is noted that it makes wrong; not at all when the process ends before: then it is read again
   */
  forget(done: () => void): void {
    this.#waiting.push(done);
    if (this.#noting) return;
    this.#noting = true;
    void this.#noteForAll().finally(() => { this.#noting = false; });
  }

  async #noteForAll(): Promise<void> {
    for (let pause = 50; this.#waiting.length > 0 && !this.#stopped.signal.aborted; ) {
      const { length } = this.#waiting;
      try {
        await this.#note();
        for (const done of this.#waiting.splice(0, length)) done();
        pause = 50;
      } catch (error) {
        this.#log.debug({ reason: errorMessage(error) }, 'it cannot be noted from where on endpoints have everything');
        await delay(pause, this.#stopped.signal);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  async #note(): Promise<void> {
    const known = [...this.#dispatcher.endpoints].flatMap(({ webhook, completeness }) => {
      const since = webhook.enabled && webhook.verified ? completeness.unnoted : null;
      return since === null ? [] : [{ webhook, completeness, since }];
    });
    if (known.length === 0) return;
    const noted = await this.#store.note(known);
    for (const { webhook, completeness, since } of known) if (noted.has(webhook.id)) completeness.noted(since);
  }

  async #look(): Promise<void> {
    const settled = this.#ledger.confirmed;
    const endpoints = [...this.#dispatcher.endpoints];
    for (const { completeness } of endpoints) completeness.passed(settled);
    if (settled === this.#lookedAt || endpoints.every(({ completeness }) => completeness.waits)) return;
    const empty = await this.#store.withoutRows();
    this.#lookedAt = settled;
    for (const { webhook, completeness } of endpoints) {
      const walEnd = empty.get(webhook.id);
      if (walEnd !== undefined && !completeness.waits) completeness.noRows(settled, walEnd);
    }
    await this.#note();
  }
}
