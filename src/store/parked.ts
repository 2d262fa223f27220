import type pg from 'pg';
import { formatLsn, parseLsn, type Lsn } from '../lsn.js';
import { inTransaction } from './pool.js';

/** A delivery as slackchat_bridge.deliveries keeps it. Times are milliseconds since 1970. */
export interface ParkedDelivery {
  readonly notificationId: string;
  readonly lane: string;
  readonly lsn: Lsn;
  readonly seq: number;
  readonly channelId: string;
  readonly body: string;
  readonly attempts: number;
  readonly firstAttemptAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** null: as soon as its lane allows */
  readonly nextAttemptAt: number | null;
}

/** A parked delivery that is due: the head of its lane. */
export interface DueDelivery extends ParkedDelivery {
  readonly parkedAt: number;
}

export interface Removed {
  readonly kind: 'delivered' | 'dropped';
  readonly notificationId: string;
  readonly lane: string;
}

export interface Kept {
  readonly kind: 'retry' | 'dead';
  readonly notificationId: string;
  readonly lane: string;
  readonly status: number | null;
  readonly reason: string;
  readonly attempts: number;
  readonly nextAttemptAt: number;
}

export type ParkedResult = Removed | Kept;

/** Deliveries that are under way already, and lanes in which something is. */
export interface Except {
  readonly notificationIds: readonly string[];
  readonly lanes: readonly string[];
}

interface DueRow {
  readonly notification_id: string;
  readonly lane: string;
  readonly commit_lsn: string;
  readonly seq: string;
  readonly channel_id: string;
  readonly body: string;
  readonly attempts: string;
  readonly first_attempt_ms: string | null;
  readonly parked_ms: string;
}

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/**
 * Deliveries that wait. In each lane only the head has a `next_attempt_at`, so that what is due is
 * one short index scan however many wait. Calls for one endpoint must not overlap.
 */
export class ParkedStore {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Idempotent: what stands there already is left as it is. */
  async park(webhookId: string, deliveries: readonly ParkedDelivery[]): Promise<void> {
    await this.#pool.query({
      name: 'park',
      text: `
        INSERT INTO slackchat_bridge.deliveries
               (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, attempts, first_attempt_at, last_attempt_at, last_status, last_error, next_attempt_at)
        SELECT $1::bigint, p.notification_id, p.lane, p.commit_lsn::pg_lsn, p.seq, p.channel_id, p.body, p.attempts,
               to_timestamp(p.first_attempt), CASE WHEN p.attempts > 0 THEN now() END, p.last_status, p.last_error,
               CASE WHEN row_number() OVER (PARTITION BY p.lane ORDER BY p.commit_lsn::pg_lsn, p.seq) = 1
                     AND NOT EXISTS (SELECT FROM slackchat_bridge.deliveries d
                                      WHERE d.webhook_id = $1::bigint AND d.lane = p.lane AND d.status = 'waiting'
                                        AND (d.commit_lsn, d.seq) < (p.commit_lsn::pg_lsn, p.seq))
                    THEN coalesce(to_timestamp(p.next_attempt), now()) END
          FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::int[], $9::float8[], $10::int[], $11::text[], $12::float8[])
            AS p(notification_id, lane, commit_lsn, seq, channel_id, body, attempts, first_attempt, last_status, last_error, next_attempt)
         WHERE EXISTS (SELECT FROM slackchat_bridge.webhooks w WHERE w.id = $1::bigint)
            ON CONFLICT (webhook_id, notification_id) DO NOTHING`,
      values: [
        webhookId,
        deliveries.map((d) => d.notificationId),
        deliveries.map((d) => d.lane),
        deliveries.map((d) => formatLsn(d.lsn)),
        deliveries.map((d) => d.seq),
        deliveries.map((d) => d.channelId),
        deliveries.map((d) => d.body),
        deliveries.map((d) => d.attempts),
        deliveries.map((d) => seconds(d.firstAttemptAt)),
        deliveries.map((d) => d.lastStatus),
        deliveries.map((d) => d.lastError),
        deliveries.map((d) => seconds(d.nextAttemptAt)),
      ],
    });
  }

  /**
   * Heads of lanes whose time has come, without those excepted.
   * @param leastTriedFirst so that one bad delivery is not the only probe of an endpoint that fails
   */
  async due(webhookId: string, limit: number, except: Except, leastTriedFirst: boolean): Promise<readonly DueDelivery[]> {
    const result = await this.#pool.query<DueRow>({
      name: leastTriedFirst ? 'due_least_tried' : 'due',
      text: `
        SELECT * FROM (
          SELECT d.notification_id, d.lane, d.commit_lsn::text, d.seq, d.channel_id, d.body, d.attempts, d.next_attempt_at,
                 extract(epoch FROM d.first_attempt_at) * 1000 AS first_attempt_ms, extract(epoch FROM d.created_at) * 1000 AS parked_ms
            FROM slackchat_bridge.deliveries d
           WHERE d.webhook_id = $1 AND d.status = 'waiting' AND d.next_attempt_at <= now()
             AND d.notification_id <> ALL ($3) AND d.lane <> ALL ($4)
             AND NOT EXISTS (SELECT FROM slackchat_bridge.deliveries e
                              WHERE e.webhook_id = d.webhook_id AND e.lane = d.lane AND e.status = 'waiting'
                                AND (e.commit_lsn, e.seq) < (d.commit_lsn, d.seq))
           ORDER BY d.next_attempt_at LIMIT ${leastTriedFirst ? '1000' : '$2'}) head
         ORDER BY ${leastTriedFirst ? 'attempts, ' : ''}next_attempt_at LIMIT $2`,
      values: [webhookId, limit, except.notificationIds, except.lanes],
    });
    return result.rows.map((row) => ({
      notificationId: row.notification_id,
      lane: row.lane,
      lsn: parseLsn(row.commit_lsn),
      seq: Number(row.seq),
      channelId: row.channel_id,
      body: row.body,
      attempts: Number(row.attempts),
      firstAttemptAt: row.first_attempt_ms === null ? null : Number(row.first_attempt_ms),
      lastStatus: null,
      lastError: null,
      nextAttemptAt: null,
      parkedAt: Number(row.parked_ms),
    }));
  }

  /**
   * Writes down what came of attempts and moves the lanes on.
   * @returns the lanes of which nothing waits any more
   */
  async finish(webhookId: string, results: readonly ParkedResult[]): Promise<readonly string[]> {
    const removed = results.filter((result): result is Removed => result.kind === 'delivered' || result.kind === 'dropped');
    const kept = results.filter((result): result is Kept => result.kind === 'retry' || result.kind === 'dead');
    const lanes = [...new Set([...removed, ...kept.filter((result) => result.kind === 'dead')].map((result) => result.lane))];
    return inTransaction(this.#pool, async (client) => {
      if (removed.length > 0) {
        await client.query({
          name: 'remove',
          text: 'DELETE FROM slackchat_bridge.deliveries WHERE webhook_id = $1 AND notification_id = ANY ($2)',
          values: [webhookId, removed.map((result) => result.notificationId)],
        });
      }
      if (kept.length > 0) {
        await client.query({
          name: 'note',
          text: `
            UPDATE slackchat_bridge.deliveries d
               SET status = r.status, attempts = r.attempts, first_attempt_at = coalesce(d.first_attempt_at, now()), last_attempt_at = now(),
                   last_status = r.last_status, last_error = r.last_error,
                   next_attempt_at = CASE WHEN r.status = 'waiting' THEN to_timestamp(r.next_attempt) END
              FROM unnest($2::text[], $3::text[], $4::int[], $5::int[], $6::text[], $7::float8[])
                AS r(notification_id, status, attempts, last_status, last_error, next_attempt)
             WHERE d.webhook_id = $1 AND d.notification_id = r.notification_id`,
          values: [
            webhookId,
            kept.map((result) => result.notificationId),
            kept.map((result) => (result.kind === 'dead' ? 'dead' : 'waiting')),
            kept.map((result) => result.attempts),
            kept.map((result) => result.status),
            kept.map((result) => result.reason),
            kept.map((result) => seconds(result.nextAttemptAt)),
          ],
        });
      }
      if (lanes.length === 0) return [];
      return this.#promote(client, webhookId, lanes);
    });
  }

  /** Everything of the endpoint that has waited since before `parkedBefore` (milliseconds) is dead. */
  async expire(webhookId: string, parkedBefore: number, reason: string): Promise<number> {
    return inTransaction(this.#pool, async (client) => {
      const expired = await client.query<{ lane: string }>(
        `UPDATE slackchat_bridge.deliveries SET status = 'dead', next_attempt_at = NULL, last_error = coalesce(last_error, $3)
          WHERE webhook_id = $1 AND status = 'waiting' AND coalesce(first_attempt_at, created_at) < to_timestamp($2::float8) RETURNING lane`,
        [webhookId, parkedBefore / 1000, reason],
      );
      const lanes = [...new Set(expired.rows.map((row) => row.lane))];
      if (lanes.length > 0) await this.#promote(client, webhookId, lanes);
      return expired.rows.length;
    });
  }

  /** When something is due next, without those excepted (milliseconds since 1970); null when nothing waits. */
  async nextDueAt(webhookId: string, except: Except): Promise<number | null> {
    const result = await this.#pool.query<{ ms: string | null }>({
      name: 'next_due',
      text: `SELECT extract(epoch FROM min(next_attempt_at)) * 1000 AS ms FROM slackchat_bridge.deliveries
              WHERE webhook_id = $1 AND status = 'waiting' AND next_attempt_at IS NOT NULL
                AND notification_id <> ALL ($2) AND lane <> ALL ($3)`,
      values: [webhookId, except.notificationIds, except.lanes],
    });
    const ms = result.rows[0]?.ms ?? null;
    return ms === null ? null : Number(ms);
  }

  /** The lanes in which something waits; null when more than `limit` deliveries do. */
  async lanes(webhookId: string, limit: number): Promise<readonly string[] | null> {
    const result = await this.#pool.query<{ lane: string }>(
      `SELECT lane FROM slackchat_bridge.deliveries WHERE webhook_id = $1 AND status = 'waiting' LIMIT $2`,
      [webhookId, limit + 1],
    );
    return result.rows.length > limit ? null : [...new Set(result.rows.map((row) => row.lane))];
  }

  async counts(): Promise<readonly { readonly webhookId: string; readonly waiting: number; readonly dead: number }[]> {
    const result = await this.#pool.query<{ webhook_id: string; waiting: string; dead: string }>(
      `SELECT webhook_id, count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'dead') AS dead
         FROM slackchat_bridge.deliveries GROUP BY webhook_id`,
    );
    return result.rows.map((row) => ({ webhookId: row.webhook_id, waiting: Number(row.waiting), dead: Number(row.dead) }));
  }

  async #promote(client: pg.PoolClient, webhookId: string, lanes: readonly string[]): Promise<readonly string[]> {
    const heads = await client.query<{ lane: string }>({
      name: 'promote',
      text: `
        UPDATE slackchat_bridge.deliveries d SET next_attempt_at = coalesce(d.next_attempt_at, now())
          FROM (SELECT l.lane, h.id FROM unnest($2::text[]) AS l(lane),
                LATERAL (SELECT e.id FROM slackchat_bridge.deliveries e
                          WHERE e.webhook_id = $1 AND e.lane = l.lane AND e.status = 'waiting'
                          ORDER BY e.commit_lsn, e.seq LIMIT 1) h) head
         WHERE d.id = head.id RETURNING d.lane`,
      values: [webhookId, lanes],
    });
    const waiting = new Set(heads.rows.map((row) => row.lane));
    return lanes.filter((lane) => !waiting.has(lane));
  }
}
