import type pg from 'pg';
import { formatLsn, parseLsn } from '../lsn.js';
import type { DueDelivery, Except, Repeating, Room } from './parked-rows.js';

export interface DueQuery {
  readonly webhookId: string;
  readonly room: Room;
  readonly except: Except;
  /** of these nothing is due, nor what comes after them in its lane */
  readonly heldBack: Repeating;
  /** so that one bad delivery is not the only probe of an endpoint that fails; nothing follows then */
  readonly leastTriedFirst: boolean;
  /** whether a lane is this instance's, as SQL */
  readonly owns: (lane: string) => string;
  /** of the instance that leads, in `meta` */
  readonly term: { readonly key: string; readonly value: string };
}

interface DueRow {
  readonly notification_id: string;
  readonly lane: string;
  readonly commit_lsn: string;
  readonly seq: string;
  readonly channel_id: string;
  readonly bytes: string;
  readonly body: string | null;
  readonly attempts: string;
  readonly first_attempt_age: string | null;
  readonly parked_age: string;
  readonly untried: string;
  readonly replay: string;
  readonly yields: string;
  readonly place: string;
  readonly waits: string;
}

/** Of one lane so many at once: what costs some round trips for each of them costs the same for all. */
const RUN = 64;

/** Only heads of lanes. A lateral join, because an anti join planned on a small table stays slow when it has grown. */
export const HEAD_OF_LANE = `
  JOIN LATERAL (SELECT e.id FROM slackchat_bridge.deliveries e
                       WHERE e.webhook_id = d.webhook_id AND e.lane = d.lane AND e.status = 'waiting'
                       ORDER BY e.commit_lsn, e.seq LIMIT 1) h ON h.id = d.id`;

/** What is due, and which of it is to be marked as attempted before it is sent. */
interface Due {
  readonly due: readonly DueDelivery[];
  readonly untried: readonly string[];
}

/**
 * Heads of lanes whose time has come, and what follows them: in each lane in order, without gaps. A head that has failed
 * before comes alone: what is behind it would be brought back in vain time after time. So does what yields, and all else before it.
 */
export async function readDue(pool: Pick<pg.Pool, 'query'>, query: DueQuery): Promise<Due> {
  const { room, except } = query;
  const first = await read(pool, query, false);
  const lanes = new Set(first.due.map(({ lane }) => lane)).size;
  if (except.yielding || lanes >= room.lanes || first.due.some(({ body }) => body === null)) return first;
  const bytes = room.bytes - first.due.reduce((sum, row) => sum + row.bytes, 0);
  const then = await read(pool, { ...query, room: { lanes: room.lanes - lanes, rows: 1, bytes } }, true);
  return { due: [...first.due, ...then.due], untried: [...first.untried, ...then.untried] };
}

async function read(pool: Pick<pg.Pool, 'query'>, query: DueQuery, yields: boolean): Promise<Due> {
  const { webhookId, room, except, heldBack, leastTriedFirst, owns, term } = query;
  const order = leastTriedFirst ? 'attempts, next_attempt_at' : 'next_attempt_at';
  const result = await pool.query<DueRow>({
    name: leastTriedFirst ? 'due_least_tried' : 'due',
    text: `
      SELECT notification_id, lane, commit_lsn::text, seq, channel_id, tried AS attempts, first_attempt_age, parked_age, untried, replay, yields, bytes, place, waits,
             CASE WHEN bytes <= $4 AND sum(bytes) FILTER (WHERE bytes <= $4) OVER (ORDER BY place, ${order} ROWS UNBOUNDED PRECEDING) <= $4 THEN body END AS body
        FROM (SELECT *, count(*) OVER () AS lanes
                FROM (SELECT *
                        FROM (SELECT d.lane, d.commit_lsn AS head_lsn, d.attempts, d.next_attempt_at
                                FROM slackchat_bridge.deliveries d ${HEAD_OF_LANE}
                               WHERE d.webhook_id = $1 AND d.status = 'waiting' AND d.yields = $10 AND d.next_attempt_at <= now() AND ${owns('d.lane')}
                                 AND d.lane <> ALL ($5) AND NOT (d.commit_lsn >= $6::pg_lsn AND d.commit_lsn < $7::pg_lsn)
                                 AND EXISTS (SELECT FROM slackchat_bridge.meta m WHERE m.key = $8 AND m.value = $9)
                               ORDER BY d.next_attempt_at LIMIT ${leastTriedFirst ? '1000' : '$2'}) due
                       ORDER BY ${order} LIMIT $2) chosen) head,
             LATERAL (SELECT e.notification_id, e.commit_lsn, e.seq, e.channel_id, e.body, octet_length(e.body)::bigint AS bytes, e.attempts AS tried,
                             extract(epoch FROM now() - e.first_attempt_at) * 1000 AS first_attempt_age, extract(epoch FROM now() - e.created_at) * 1000 AS parked_age,
                             (e.update_type IS NOT NULL AND NOT e.attempted)::int AS untried, (e.yields OR coalesce(e.next_attempt_at > now(), false))::int AS waits,
                             e.replay::int AS replay, e.yields::int AS yields,
                             row_number() OVER (ORDER BY e.commit_lsn, e.seq) AS place
                        FROM slackchat_bridge.deliveries e
                       WHERE e.webhook_id = $1 AND e.lane = head.lane AND e.status = 'waiting' AND (e.commit_lsn < $6::pg_lsn OR head.head_lsn >= $7::pg_lsn)
                       ORDER BY e.commit_lsn, e.seq
                       LIMIT CASE WHEN $10 OR head.attempts > 0 THEN 1 ELSE least(${leastTriedFirst ? 1 : RUN}, greatest(1, $3::bigint / head.lanes)) END) run
       ORDER BY place, ${order}`,
    values: [webhookId, room.lanes, room.rows, room.bytes, except.lanes, formatLsn(heldBack.from), formatLsn(heldBack.to), term.key, term.value, yields],
  });
  const rows = withoutGaps(result.rows);
  return {
    due: rows.map((row) => ({
      notificationId: row.notification_id,
      lane: row.lane,
      lsn: parseLsn(row.commit_lsn),
      seq: Number(row.seq),
      channelId: row.channel_id,
      replay: Number(row.replay) === 1,
      yields: Number(row.yields) === 1,
      bytes: Number(row.bytes),
      body: row.body,
      attempts: Number(row.attempts),
      firstAttemptAt: row.first_attempt_age === null ? null : Date.now() - Number(row.first_attempt_age),
      parkedAt: Date.now() - Number(row.parked_age),
    })),
    untried: rows.filter((row) => row.body !== null && Number(row.untried) === 1).map((row) => row.notification_id),
  };
}

/** Nothing passes what there was no room for, or whose time has not come. */
function withoutGaps(rows: readonly DueRow[]): readonly DueRow[] {
  const ended = new Set<string>();
  return rows.filter(({ lane, place, body, waits }) => {
    const head = Number(place) === 1;
    const goes = !ended.has(lane) && (head || (body !== null && Number(waits) === 0));
    if (!goes || body === null) ended.add(lane);
    return goes;
  });
}
