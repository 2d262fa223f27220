import type pg from 'pg';
import { formatLsn, parseLsn, type Lsn } from '../lsn.js';
import type { Webhook } from '../types.js';
import type { Term } from './term.js';

/**
 * From where on endpoints have been told of everything that comes through this slot, over restarts. The database forgets it
 * by itself, in the transaction in which an endpoint's row changes so that it does not hold any more, or a delivery is removed.
 */
export class CompletenessStore {
  readonly #pool: pg.Pool;
  readonly #term: Term;
  readonly #slot: string;

  constructor(pool: pg.Pool, term: Term, slot: string) {
    this.#pool = pool;
    this.#term = term;
    this.#slot = slot;
  }

  /** Those that have no rows, each with where the WAL ended then, or later. */
  async withoutRows(): Promise<ReadonlyMap<string, Lsn>> {
    const { rows } = await this.#pool.query<{ id: string; wal_end: string }>({
      name: 'no_rows',
      // The snapshot is taken before the end of the WAL is read: all that it shows is before that.
      text: `SELECT w.id, pg_current_wal_insert_lsn()::text AS wal_end FROM slackchat_bridge.webhooks w
              WHERE NOT EXISTS (SELECT FROM slackchat_bridge.deliveries d WHERE d.webhook_id = w.id)`,
    });
    return new Map(rows.map((row) => [row.id, parseLsn(row.wal_end)]));
  }

  /**
   * Of those whose rows are no longer what is known of them nothing is noted.
   * @returns of which it is
   * @throws {TakenOverError} when another instance leads
   */
  async note(known: readonly { readonly webhook: Webhook; readonly since: Lsn }[]): Promise<ReadonlySet<string>> {
    return this.#term.transaction(async (client) => {
      const { rows } = await client.query<{ id: string }>({
        name: 'note_complete',
        text: `
          INSERT INTO slackchat_bridge.complete_since (webhook_id, slot, since)
          SELECT w.id, $1, k.since::pg_lsn
            FROM unnest($2::bigint[], $3::text[], $4::text[]) AS k(id, since, wants) JOIN slackchat_bridge.webhooks w ON w.id = k.id
           WHERE w.enabled AND w.verified AND (w.deliver_from IS NULL OR w.deliver_from <= k.since::pg_lsn)
             AND jsonb_build_array(to_jsonb(w.chat_types), to_jsonb(w.update_types)) = k.wants::jsonb
             FOR SHARE OF w
          ON CONFLICT (webhook_id, slot) DO UPDATE SET since = excluded.since
          RETURNING webhook_id AS id`,
        values: [
          this.#slot,
          known.map(({ webhook }) => webhook.id),
          known.map(({ since }) => formatLsn(since)),
          known.map(({ webhook: { chatTypes, updateTypes } }) => JSON.stringify([chatTypes, updateTypes])),
        ],
      });
      return new Set(rows.map(({ id }) => id));
    });
  }
}
