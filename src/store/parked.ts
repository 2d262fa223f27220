import type pg from 'pg';
import { formatLsn, parseLsn, type Lsn } from '../lsn.js';
import { HEAD_OF_LANE, readDue } from './due.js';
import { fromNow, insertParked } from './park.js';
import type { DueDelivery, Except, Kept, ParkedDelivery, ParkedResult, Removed, Repeating, Room } from './parked-rows.js';
import type { Term } from './term.js';
import { readHolding, readWaiting, type AboutMessage, type WaitingDelivery } from './waiting.js';

/**
 * Deliveries that wait. In each lane only the head has a `next_attempt_at`, so that what is due is
 * one short index scan however many wait. Calls for one endpoint must not overlap.
 */
export class ParkedStore {
  readonly #pool: pg.Pool;
  readonly #term: Term;
  readonly #repeating: () => Repeating;
  readonly #owns: (lane: string) => string;

  /**
   * @param repeating of these nothing is due: what goes before it in its lane, and has no row, is yet to come
   * @param owns whether a lane is this instance's, as SQL; the rows of the others are left to them
   */
  constructor(pool: pg.Pool, term: Term, repeating: () => Repeating, owns: (lane: string) => string = () => 'true') {
    this.#pool = pool;
    this.#term = term;
    this.#repeating = repeating;
    this.#owns = owns;
  }

  /**
   * Idempotent. What stands there already keeps its time and attempts, but not its text: read again, it may be newer,
   * and so may be what goes before it.
   * @param remove ids of rows that go, because one of the parked stands for them
   * @returns the lanes of which nothing waits any more
   * @throws {TakenOverError} when another instance leads, as all that writes here
   */
  async park(webhookId: string, deliveries: readonly ParkedDelivery[], remove: readonly string[] = []): Promise<readonly string[]> {
    return this.#term.transaction(async (client) => {
      const emptied = remove.length === 0 ? [] : await this.#remove(client, webhookId, remove);
      const unsure = await insertParked(client, webhookId, deliveries);
      await this.#hurry(client, webhookId, deliveries);
      const lanes = new Set([...emptied, ...unsure]);
      return lanes.size === 0 ? [] : this.#promote(client, webhookId, [...lanes]);
    });
  }

  /** What must not wait is behind it in its lane: it does not yield any more. */
  async #hurry(client: Pick<pg.ClientBase, 'query'>, webhookId: string, deliveries: readonly ParkedDelivery[]): Promise<void> {
    const lanes = [...new Set(deliveries.flatMap(({ dead, replay, lane }) => (dead || replay ? [] : [lane])))];
    if (lanes.length === 0) return;
    await client.query({
      name: 'hurry',
      text: `UPDATE slackchat_bridge.deliveries SET yields = false WHERE webhook_id = $1 AND lane = ANY ($2) AND status = 'waiting' AND yields`,
      values: [webhookId, lanes],
    });
  }

  /** @returns their lanes */
  async #remove(client: Pick<pg.ClientBase, 'query'>, webhookId: string, notificationIds: readonly string[]): Promise<readonly string[]> {
    const removed = await client.query<{ lane: string }>({
      name: 'collapse',
      text: `DELETE FROM slackchat_bridge.deliveries
              WHERE webhook_id = $1 AND notification_id = ANY ($2) AND status = 'waiting' AND NOT attempted RETURNING lane`,
      values: [webhookId, notificationIds],
    });
    return removed.rows.map((row) => row.lane);
  }

  waiting(webhookId: string, of: readonly AboutMessage[]): Promise<readonly WaitingDelivery[]> {
    return readWaiting(this.#pool, webhookId, of);
  }

  /** See `readDue`; none when another instance leads. */
  async due(webhookId: string, room: Room, except: Except, leastTriedFirst: boolean): Promise<readonly DueDelivery[]> {
    const { due, untried } = await readDue(this.#pool, { webhookId, room, except, heldBack: this.#heldBack(except), leastTriedFirst, owns: this.#owns, term: this.#term });
    if (untried.length > 0) await this.#markAttempted(webhookId, untried);
    return due;
  }

  /** Known before the attempt begins, so that after a crash nothing collapses with what may have been received. */
  async #markAttempted(webhookId: string, notificationIds: readonly string[]): Promise<void> {
    await this.#term.transaction(async (client) => {
      await client.query({
        name: 'mark_attempted',
        text: 'UPDATE slackchat_bridge.deliveries SET attempted = true WHERE webhook_id = $1 AND notification_id = ANY ($2)',
        values: [webhookId, notificationIds],
      });
    });
  }

  /** Nothing of these commits is due. */
  #heldBack({ whileRepeating }: Except): Repeating {
    const { from, to } = this.#repeating();
    return { from: whileRepeating ? 0n : from, to };
  }

  /**
   * Writes down what came of attempts and moves the lanes on.
   * @returns the lanes of which nothing waits any more
   */
  async finish(webhookId: string, results: readonly ParkedResult[]): Promise<readonly string[]> {
    const removed = results.filter((result): result is Removed => result.kind === 'delivered' || result.kind === 'dropped');
    const kept = results.filter((result): result is Kept => result.kind === 'retry' || result.kind === 'dead');
    const lanes = [...new Set([...removed, ...kept.filter((result) => result.kind === 'dead')].map((result) => result.lane))];
    return this.#term.transaction(async (client) => {
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
                   next_attempt_at = CASE WHEN r.status = 'waiting' THEN clock_timestamp() + r.next_attempt * interval '1 ms' END
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
            kept.map((result) => fromNow(result.nextAttemptAt)),
          ],
        });
      }
      if (lanes.length === 0) return [];
      return this.#promote(client, webhookId, lanes);
    });
  }

  /** Gives up a batch of those that wait for longer than `ageMs`. @returns how many */
  async expire(webhookId: string, ageMs: number, reason: string): Promise<number> {
    return this.#term.transaction(async (client) => {
      const expired = await client.query<{ lane: string }>({
        name: 'expire',
        text: `
          UPDATE slackchat_bridge.deliveries SET status = 'dead', next_attempt_at = NULL, last_error = coalesce(last_error, $3)
           WHERE id IN (SELECT id FROM slackchat_bridge.deliveries
                         WHERE webhook_id = $1 AND status = 'waiting' AND coalesce(first_attempt_at, created_at) < now() - $2::float8 * interval '1 ms'
                           AND ${this.#owns('lane')}
                         ORDER BY coalesce(first_attempt_at, created_at) LIMIT 1000)
          RETURNING lane`,
        values: [webhookId, ageMs, reason],
      });
      const lanes = [...new Set(expired.rows.map((row) => row.lane))];
      if (lanes.length > 0) await this.#promote(client, webhookId, lanes);
      return expired.rows.length;
    });
  }

  /** Of the commits from `from` on and before `to`, those with rows that wait are before this one; 0: there are none. */
  async storedBefore(from: Lsn, to: Lsn): Promise<Lsn> {
    const result = await this.#pool.query<{ newest: string | null }>(
      `SELECT max(commit_lsn)::text AS newest FROM slackchat_bridge.deliveries WHERE status = 'waiting' AND commit_lsn >= $1::pg_lsn AND commit_lsn < $2::pg_lsn`,
      [formatLsn(from), formatLsn(to)],
    );
    const newest = result.rows[0]?.newest ?? null;
    return newest === null ? 0n : parseLsn(newest) + 1n;
  }

  /** When the next head of a lane is due, without those excepted (milliseconds since 1970, this machine's clock); null when none has a time. */
  async nextDueAt(webhookId: string, except: Except): Promise<number | null> {
    const { from, to } = this.#heldBack(except);
    const result = await this.#pool.query<{ ms: string | null }>({
      name: 'next_due',
      text: `
        SELECT min(head.ms) AS ms FROM unnest($5::boolean[]) AS k(yields), LATERAL (
          SELECT extract(epoch FROM d.next_attempt_at - now()) * 1000 AS ms FROM slackchat_bridge.deliveries d ${HEAD_OF_LANE}
           WHERE d.webhook_id = $1 AND d.status = 'waiting' AND d.yields = k.yields AND d.next_attempt_at IS NOT NULL AND ${this.#owns('d.lane')}
             AND d.lane <> ALL ($2) AND NOT (d.commit_lsn >= $3::pg_lsn AND d.commit_lsn < $4::pg_lsn)
           ORDER BY d.next_attempt_at LIMIT 1) head`,
      values: [webhookId, except.lanes, formatLsn(from), formatLsn(to), except.yielding ? [false] : [false, true]],
    });
    const ms = result.rows[0]?.ms ?? null;
    return ms === null ? null : Date.now() + Number(ms);
  }

  /** Of these endpoints those for which something waits. */
  holding(webhookIds: readonly string[]): Promise<ReadonlySet<string>> {
    return readHolding(this.#pool, webhookIds);
  }

  /** The lanes in which something waits, each with a time for its head now; null when more than `limit` deliveries wait. */
  async lanes(webhookId: string, limit: number): Promise<readonly string[] | null> {
    const result = await this.#pool.query<{ lane: string }>(
      `SELECT lane FROM slackchat_bridge.deliveries WHERE webhook_id = $1 AND status = 'waiting' AND ${this.#owns('lane')} LIMIT $2`,
      [webhookId, limit + 1],
    );
    if (result.rows.length > limit) return null;
    const lanes = [...new Set(result.rows.map((row) => row.lane))];
    if (lanes.length > 0) await this.#promote(this.#pool, webhookId, lanes);
    return lanes;
  }

  async counts(): Promise<readonly { readonly webhookId: string; readonly waiting: number; readonly dead: number; readonly oldest: Date | null }[]> {
    const result = await this.#pool.query<{ webhook_id: string; waiting: string; dead: string; oldest: string | null }>(
      `SELECT webhook_id, count(*) FILTER (WHERE status = 'waiting') AS waiting, count(*) FILTER (WHERE status = 'dead') AS dead,
              1000 * extract(epoch FROM min(coalesce(first_attempt_at, created_at)) FILTER (WHERE status = 'waiting')) AS oldest
         FROM slackchat_bridge.deliveries WHERE ${this.#owns('lane')} GROUP BY webhook_id`,
    );
    return result.rows.map((row) => ({
      webhookId: row.webhook_id,
      waiting: Number(row.waiting),
      dead: Number(row.dead),
      oldest: row.oldest === null ? null : new Date(Number(row.oldest)),
    }));
  }

  /** A head without a time gets one. @returns the lanes in which nothing waits */
  async #promote(client: Pick<pg.ClientBase, 'query'>, webhookId: string, lanes: readonly string[]): Promise<readonly string[]> {
    const heads = await client.query<{ lane: string }>({
      name: 'promote',
      text: `
        WITH head AS (
          SELECT l.lane, h.id FROM unnest($2::text[]) AS l(lane),
                 LATERAL (SELECT e.id FROM slackchat_bridge.deliveries e
                           WHERE e.webhook_id = $1 AND e.lane = l.lane AND e.status = 'waiting'
                           ORDER BY e.commit_lsn, e.seq LIMIT 1) h
        ), promoted AS (
          UPDATE slackchat_bridge.deliveries d SET next_attempt_at = now() FROM head WHERE d.id = head.id AND d.next_attempt_at IS NULL
        )
        SELECT lane FROM head`,
      values: [webhookId, lanes],
    });
    const waiting = new Set(heads.rows.map((row) => row.lane));
    return lanes.filter((lane) => !waiting.has(lane));
  }
}
