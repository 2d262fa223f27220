import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { TakenOverError } from '../errors.js';
import { inTransaction } from './pool.js';

/**
 * Which instance leads, where every one of them can see it. An instance that hung, lost the slot and goes on does not
 * know at once that its time is over: it would store what has been delivered since, and old states would follow newer ones.
 */
export class Term {
  /** in `meta` */
  readonly key: string;
  readonly #pool: pg.Pool;
  /** another one each time that this process begins to lead: what it began to write before is not written any more */
  #value = '';

  /** @param slot whoever streams from it leads */
  constructor(pool: pg.Pool, slot: string) {
    this.#pool = pool;
    this.key = `leader of ${slot}`;
  }

  get value(): string {
    return this.#value;
  }

  /** From here on nobody else writes. What another one is writing at this moment is waited for. */
  async take(): Promise<void> {
    const value = randomUUID();
    await this.#pool.query('INSERT INTO slackchat_bridge.meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value', [this.key, value]);
    this.#value = value;
  }

  /** @throws {TakenOverError} when another instance has led since */
  async check(): Promise<void> {
    requireRow(await this.#pool.query('SELECT FROM slackchat_bridge.meta WHERE key = $1 AND value = $2', [this.key, this.#value]));
  }

  /**
   * A transaction in which nobody else can take over. One that hangs in the middle of it is ended by the server.
   * @throws {TakenOverError} when another instance leads
   */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const value = this.#value;
    return inTransaction(this.#pool, async (client) => {
      requireRow(await client.query({
        name: 'hold_term',
        text: `SELECT set_config('idle_in_transaction_session_timeout', '5s', true), set_config('slackchat_bridge.own_delete', 'on', true) FROM slackchat_bridge.meta WHERE key = $1 AND value = $2 FOR SHARE`,
        values: [this.key, value],
      }));
      return work(client);
    });
  }
}

function requireRow({ rowCount }: pg.QueryResult): void {
  if (rowCount !== 1) throw new TakenOverError('another instance has taken over: what this one holds is that one\'s now');
}
