import type pg from 'pg';
import { z } from 'zod';
import { withoutQuery } from '../reports.js';
import type { DeadLetter, EndpointRow, SlotRow } from '../status.js';

type Queryable = Pick<pg.ClientBase, 'query'>;

// Each answer is one JSON text: the same whether the session reads its columns raw or typed.
const time = z.string().transform((text) => new Date(text).toISOString());
const endpoints = z.array(
  z.object({
    id: z.string(), endpoint: z.string().transform(withoutQuery), enabled: z.boolean(), verified: z.boolean(), verifiedAt: time.nullable(),
    chatTypes: z.array(z.string()).nullable(), updateTypes: z.array(z.string()).nullable(), ordering: z.string(),
    disabledReason: z.string().nullable(), lastError: z.string().nullable(), lastErrorAt: time.nullable(),
    waiting: z.number(), dead: z.number(), nextAttemptAt: time.nullable(), waitingSince: time.nullable(),
  }),
);
const dead = z.array(
  z.object({
    id: z.string(), webhookId: z.string(), notificationId: z.string(), channelId: z.string(), attempts: z.number(), lastStatus: z.number().nullable(),
    lastError: z.string().nullable(), firstAttemptAt: time.nullable(), lastAttemptAt: time.nullable(), body: z.string(), bodyLength: z.number(),
  }),
);
const slot = z.object({
  active: z.boolean(), walStatus: z.string().nullable(), lagBytes: z.number().nullable(), keptBytes: z.number().nullable(), safeBytes: z.number().nullable(),
});

const ENDPOINTS = `
  SELECT coalesce(json_agg(e), '[]')::text AS json FROM (
    SELECT w.id::text AS id, w.endpoint, w.enabled, w.verified, w.verified_at AS "verifiedAt", w.chat_types AS "chatTypes", w.update_types AS "updateTypes", w.ordering,
           w.disabled_reason AS "disabledReason", w.last_error AS "lastError", w.last_error_at AS "lastErrorAt",
           coalesce(d.waiting, 0) AS waiting, coalesce(d.dead, 0) AS dead, d.next AS "nextAttemptAt", d.oldest AS "waitingSince"
      FROM slackchat_bridge.webhooks w
      LEFT JOIN (SELECT webhook_id, count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'dead') AS dead,
                        min(next_attempt_at) FILTER (WHERE status = 'waiting') AS next, min(coalesce(first_attempt_at, created_at)) FILTER (WHERE status = 'waiting') AS oldest
                   FROM slackchat_bridge.deliveries GROUP BY webhook_id) d ON d.webhook_id = w.id
     ORDER BY w.id LIMIT $1) e`;

const DEAD = `
  SELECT coalesce(json_agg(e), '[]')::text AS json FROM (
    SELECT d.id::text AS id, d.webhook_id::text AS "webhookId", d.notification_id AS "notificationId", d.channel_id AS "channelId", d.attempts, d.last_status AS "lastStatus",
           d.last_error AS "lastError", d.first_attempt_at AS "firstAttemptAt", d.last_attempt_at AS "lastAttemptAt", left(d.body, $2::int) AS body, length(d.body) AS "bodyLength"
      FROM slackchat_bridge.deliveries d WHERE d.status = 'dead' ORDER BY d.last_attempt_at DESC NULLS LAST, d.id DESC LIMIT $1) e`;

const SLOT = `
  SELECT (SELECT row_to_json(e) FROM (
    SELECT s.active, s.wal_status AS "walStatus", pg_wal_lsn_diff(w.now, s.confirmed_flush_lsn) AS "lagBytes", pg_wal_lsn_diff(w.now, s.restart_lsn) AS "keptBytes",
           s.safe_wal_size AS "safeBytes"
      FROM pg_replication_slots s, (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) w (now)
     WHERE s.slot_name = $1) e)::text AS json`;

/** What a person on call asks first: endpoints, what waits for them, what was given up, and the slot. Only reads. */
export class Overview {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** The first `limit` by id. Reads all parked rows to count them. */
  async endpoints(limit: number): Promise<readonly EndpointRow[]> {
    return endpoints.parse(await this.#json(ENDPOINTS, [limit]));
  }

  /**
   * The newest first.
   * @param bodyLimit characters that are shown of each body
   */
  async dead(limit: number, bodyLimit: number): Promise<readonly DeadLetter[]> {
    return dead.parse(await this.#json(DEAD, [limit, bodyLimit]));
  }

  /** How many instances share the messages. */
  async shards(): Promise<number> {
    return z.number().parse(await this.#json("SELECT coalesce((SELECT value FROM slackchat_bridge.meta WHERE key = 'shards'), '1') AS json", []));
  }

  /** null: there is no such slot */
  async slot(name: string): Promise<SlotRow | null> {
    return slot.nullable().parse(await this.#json(SLOT, [name]));
  }

  async #json(sql: string, values: readonly unknown[]): Promise<unknown> {
    const result = await this.#database.query<{ json: string | null }>(sql, [...values]);
    return JSON.parse(result.rows[0]?.json ?? 'null');
  }
}
