import type pg from 'pg';
import type { Dispatcher } from './deliver/dispatcher.js';
import { parseLsn } from './lsn.js';
import type { Logger } from './log.js';
import { errorMessage } from './errors.js';
import type { Ledger } from './wal/ledger.js';

const INTERVAL_MS = 500;

/**
 * Finds out which endpoints have everything, while something happens: one short query each time. Not where several
 * instances share the messages: none of them knows of the others'.
 */
export class Resolver {
  readonly #pool: pg.Pool;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #looking = false;
  #lookedAt = 0n;

  constructor(pool: pg.Pool, ledger: Ledger, dispatcher: Dispatcher, log: Logger) {
    this.#pool = pool;
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
  }

  async #look(): Promise<void> {
    const settled = this.#ledger.confirmed;
    const endpoints = [...this.#dispatcher.endpoints];
    for (const { completeness } of endpoints) completeness.passed(settled);
    if (settled === this.#lookedAt || endpoints.every(({ completeness }) => completeness.waits)) return;
    const { rows } = await this.#pool.query<{ id: string; wal_end: string }>({
      name: 'no_rows',
      // The snapshot is taken before the end of the WAL is read: all that it shows is before that.
      text: `SELECT w.id, pg_current_wal_insert_lsn()::text AS wal_end FROM slackchat_bridge.webhooks w
              WHERE NOT EXISTS (SELECT FROM slackchat_bridge.deliveries d WHERE d.webhook_id = w.id)`,
    });
    this.#lookedAt = settled;
    const empty = new Map(rows.map((row) => [row.id, parseLsn(row.wal_end)]));
    for (const { webhook, completeness } of endpoints) {
      const walEnd = empty.get(webhook.id);
      if (walEnd !== undefined && !completeness.waits) completeness.noRows(settled, walEnd);
    }
  }
}
