import type pg from 'pg';
import { PreconditionError } from '../errors.js';

const STATEMENTS = {
  verify: 'SELECT slackchat_bridge.verify($1::bigint)',
  enable: 'UPDATE slackchat_bridge.webhooks SET enabled = true WHERE id = $1::bigint',
  resync: 'SELECT slackchat_bridge.resync($1::bigint)',
  retry_all: 'SELECT slackchat_bridge.retry_all($1::bigint)',
  retry: 'SELECT slackchat_bridge.retry($1::bigint)',
} as const;

/** What anyone can ask for by SQL: it reaches the instance that streams through the stream. */
export class Requests {
  readonly #pool: Pick<pg.Pool, 'query'>;

  constructor(pool: Pick<pg.Pool, 'query'>) {
    this.#pool = pool;
  }

  /** @throws {PreconditionError} when there is no such endpoint; PostgreSQL's own error otherwise */
  async perform({ kind, id }: { readonly kind: keyof typeof STATEMENTS; readonly id: string }): Promise<void> {
    const { rowCount } = await this.#pool.query(STATEMENTS[kind], [id]);
    if (rowCount === 0) throw new PreconditionError(`there is no webhook ${id}`);
  }
}
