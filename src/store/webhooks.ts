import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { parseLsn } from '../lsn.js';
import { qualifiedName, quoteIdent, type TableMapping } from '../mapping.js';
import type { Webhook } from '../types.js';
import type { Term } from './term.js';

interface WebhookRow {
  readonly id: string;
  readonly endpoint: string;
  readonly token: string | null;
  readonly secret: string | null;
  readonly chat_types: readonly string[] | null;
  readonly update_types: readonly string[] | null;
  readonly ordering: string;
  readonly conflate: string;
  readonly max_in_flight: string;
  readonly enabled: string;
  readonly verified: string;
  readonly failure_noted: string;
  readonly deliver_from: string | null;
  readonly awaited: string;
  readonly complete_since: string | null;
}

const COLUMNS = 'id, endpoint, token, secret, chat_types, update_types, ordering, conflate, max_in_flight, enabled, verified, last_error IS NOT NULL AS failure_noted, deliver_from';

/**
 * Marks a transaction as the bridge's own: in the WAL for the stream, in the session for the table's
 * trigger. The mark is this process's, because what another instance wrote is news to this one.
 */
export const OWN_MARK = JSON.stringify({ own: randomUUID() });
export const OWN_WRITE = `SELECT set_config('slackchat_bridge.own_write', 'on', true), pg_logical_emit_message(true, 'slackchat_bridge', '${OWN_MARK}')`;

/** slackchat_bridge.webhooks. Every write @throws {TakenOverError} when another instance leads. */
export class WebhookStore {
  readonly #pool: pg.Pool;
  readonly #term: Term;
  readonly #select: string;
  readonly #slot: string;
  readonly #share: (total: number) => number;

  /**
   * @param slot whose instance reads them
   * @param app the application's own table, when its rows are mirrored
   * @param share what this instance may have of an endpoint's requests at once
   */
  constructor(pool: pg.Pool, term: Term, slot: string, app: TableMapping | undefined, share: (total: number) => number = (total) => total) {
    this.#pool = pool;
    this.#term = term;
    const awaited = app === undefined ? 'false' : awaitedIn(app);
    this.#share = share;
    this.#slot = slot;
    this.#select = `SELECT ${COLUMNS}, ${awaited} AS awaited, (SELECT c.since::text FROM slackchat_bridge.complete_since c WHERE c.webhook_id = webhooks.id AND c.slot = $1) AS complete_since
                      FROM slackchat_bridge.webhooks ORDER BY id`;
  }

  async all(): Promise<readonly Webhook[]> {
    const result = await this.#pool.query<WebhookRow>(this.#select, [this.#slot]);
    return result.rows.map((row) => toWebhook(row, this.#share));
  }

  /**
   * Positions that are behind every slot need not be remembered; those of another server's WAL mean nothing here.
   * @param slots of all that share the messages
   */
  async forgetPassed(slots: readonly string[]): Promise<void> {
    await this.#term.transaction(async (client) => {
      await client.query(OWN_WRITE);
      await client.query(
        `UPDATE slackchat_bridge.webhooks SET deliver_from = NULL
          WHERE deliver_from <= (SELECT min(confirmed_flush_lsn) FROM pg_replication_slots WHERE slot_name = ANY ($1) HAVING count(*) = $2::int)
             OR (deliver_from > pg_current_wal_insert_lsn() AND deliver_from <> 'FFFFFFFF/FFFFFFFF')`,
        [slots, slots.length],
      );
    });
  }

  /** Sets `verified`, if the row still is what was challenged. */
  async verified(webhook: Webhook): Promise<boolean> {
    return this.#own(
      `UPDATE slackchat_bridge.webhooks SET verified = true, verified_at = now(), last_error = NULL, last_error_at = NULL
        WHERE id = $1 AND endpoint = $2 AND token IS NOT DISTINCT FROM $3`,
      [webhook.id, webhook.endpoint, webhook.token],
    );
  }

  /** Notes why a verification failed. */
  async refused(webhook: Webhook, reason: string, stillVerified: boolean): Promise<boolean> {
    return this.#own(
      `UPDATE slackchat_bridge.webhooks
          SET verified = $5, verified_at = CASE WHEN $5 THEN verified_at END, last_error = $4, last_error_at = now()
        WHERE id = $1 AND endpoint = $2 AND token IS NOT DISTINCT FROM $3`,
      [webhook.id, webhook.endpoint, webhook.token, reason, stillVerified],
    );
  }

  async failing(webhookId: string, reason: string): Promise<boolean> {
    return this.#own(`UPDATE slackchat_bridge.webhooks SET last_error = $2, last_error_at = now() WHERE id = $1`, [webhookId, reason]);
  }

  async recovered(webhookId: string): Promise<boolean> {
    return this.#own(
      `UPDATE slackchat_bridge.webhooks SET last_error = NULL, last_error_at = NULL WHERE id = $1 AND last_error IS NOT NULL`,
      [webhookId],
    );
  }

  /** The endpoint answered that it is gone: disables it and drops what waits; returns how many that were. */
  async disable(webhookId: string, reason: string): Promise<number> {
    return this.#term.transaction(async (client) => {
      await client.query(OWN_WRITE);
      await client.query(
        `UPDATE slackchat_bridge.webhooks SET enabled = false, disabled_reason = $2, last_error = $2, last_error_at = now() WHERE id = $1`,
        [webhookId, reason],
      );
      const dropped = await client.query(`DELETE FROM slackchat_bridge.deliveries WHERE webhook_id = $1 AND status = 'waiting'`, [webhookId]);
      return dropped.rowCount ?? 0;
    });
  }

  /** What was being written when the endpoint was disabled. @returns how many that were */
  async dropWaiting(webhookId: string): Promise<number> {
    return this.#term.transaction(async (client) => {
      const dropped = await client.query(
        `DELETE FROM slackchat_bridge.deliveries WHERE webhook_id = $1 AND status = 'waiting' AND EXISTS (SELECT FROM slackchat_bridge.webhooks w WHERE w.id = $1 AND NOT w.enabled)`,
        [webhookId],
      );
      return dropped.rowCount ?? 0;
    });
  }

  #own(sql: string, values: readonly unknown[]): Promise<boolean> {
    return this.#term.transaction(async (client) => {
      await client.query(OWN_WRITE);
      const result = await client.query(sql, [...values]);
      return (result.rowCount ?? 0) > 0;
    });
  }
}

/** Unverified, while the application has an address for verified: it is told in the end what is committed meanwhile. */
function awaitedIn(app: TableMapping): string {
  const column = (logical: string): string => `a.${quoteIdent(app.columns[logical] ?? logical)}`;
  return `NOT webhooks.verified AND EXISTS (SELECT FROM ${qualifiedName(app)} a WHERE ${column('endpoint')}::text = webhooks.endpoint AND ${column('verified')})`;
}

function toWebhook(row: WebhookRow, share: (total: number) => number): Webhook {
  return {
    id: row.id,
    endpoint: row.endpoint,
    token: row.token,
    secret: row.secret,
    chatTypes: row.chat_types,
    updateTypes: row.update_types,
    ordering: row.ordering === 'channel' ? 'channel' : 'message',
    conflate: row.conflate === 't',
    maxInFlight: share(Number(row.max_in_flight)),
    enabled: row.enabled === 't',
    verified: row.verified === 't',
    failureNoted: row.failure_noted === 't',
    awaited: row.awaited === 't',
    deliverFrom: row.deliver_from === null ? null : parseLsn(row.deliver_from),
    completeSince: row.complete_since === null ? null : parseLsn(row.complete_since),
  };
}
