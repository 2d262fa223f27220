import type pg from 'pg';
import { parseLsn, type Lsn } from '../lsn.js';
import type { UpdateType } from '../types.js';

/** What of a parked delivery is needed to decide whether others collapse with it. */
export interface WaitingDelivery {
  readonly notificationId: string;
  readonly lane: string;
  readonly lsn: Lsn;
  readonly seq: number;
  readonly channelId: string;
  readonly messageId: string | null;
  readonly updateType: UpdateType | null;
  readonly repeated: boolean;
  readonly replay: boolean;
  readonly begun: boolean;
}

export interface AboutMessage {
  readonly lane: string;
  readonly messageId: string;
}

interface WaitingRow {
  readonly notification_id: string;
  readonly lane: string;
  readonly commit_lsn: string;
  readonly seq: string;
  readonly channel_id: string;
  readonly message_id: string | null;
  readonly update_type: UpdateType | null;
  readonly repeated: string;
  readonly replay: string;
  readonly attempted: string;
}

const COLUMNS =
  'd.notification_id, d.lane, d.commit_lsn::text, d.seq, d.channel_id, d.message_id, d.update_type, d.repeated::int AS repeated, d.replay::int AS replay, d.attempted::int AS attempted';

/** A message's own lane is short; of a channel's, which may be long, only what is about the messages, and the last about the channel as a whole. */
export async function readWaiting(pool: pg.Pool, webhookId: string, of: readonly AboutMessage[]): Promise<readonly WaitingDelivery[]> {
  const unique = [...new Map(of.map((each) => [`${each.lane}\n${each.messageId}`, each])).values()];
  const channels = unique.filter(({ lane }) => lane.startsWith('channel:'));
  const own = unique.filter(({ lane }) => !lane.startsWith('channel:'));
  const rows: WaitingRow[] = [];
  if (own.length > 0) {
    const found = await pool.query<WaitingRow>({
      name: 'waiting',
      text: `SELECT ${COLUMNS} FROM slackchat_bridge.deliveries d WHERE d.webhook_id = $1 AND d.lane = ANY ($2) AND d.status = 'waiting'`,
      values: [webhookId, lanesOf(own)],
    });
    rows.push(...found.rows);
  }
  if (channels.length > 0) {
    const found = await pool.query<WaitingRow>({
      name: 'waiting_in_channels',
      text: `
        SELECT ${COLUMNS} FROM unnest($2::text[], $3::text[]) AS o(lane, message_id)
          JOIN slackchat_bridge.deliveries d ON d.webhook_id = $1 AND d.lane = o.lane AND d.message_id = o.message_id AND d.status = 'waiting' AND d.lane LIKE 'channel:%'
        UNION ALL
        SELECT ${COLUMNS} FROM unnest($4::text[]) AS l(lane),
               LATERAL (SELECT * FROM slackchat_bridge.deliveries e
                         WHERE e.webhook_id = $1 AND e.lane = l.lane AND e.message_id IS NULL AND e.status = 'waiting' AND e.lane LIKE 'channel:%'
                         ORDER BY e.commit_lsn DESC, e.seq DESC LIMIT 1) d`,
      values: [webhookId, channels.map(({ lane }) => lane), channels.map(({ messageId }) => messageId), lanesOf(channels)],
    });
    rows.push(...found.rows);
  }
  return rows.map((row) => ({
    notificationId: row.notification_id,
    lane: row.lane,
    lsn: parseLsn(row.commit_lsn),
    seq: Number(row.seq),
    channelId: row.channel_id,
    messageId: row.message_id,
    updateType: row.update_type,
    repeated: Number(row.repeated) === 1,
    replay: Number(row.replay) === 1,
    begun: Number(row.attempted) === 1,
  }));
}

const lanesOf = (of: readonly AboutMessage[]): readonly string[] => [...new Set(of.map(({ lane }) => lane))];

/** @returns those of these endpoints for which something waits */
export async function readHolding(pool: Pick<pg.Pool, 'query'>, webhookIds: readonly string[]): Promise<ReadonlySet<string>> {
  const result = await pool.query<{ id: string }>(
    `SELECT w.id FROM unnest($1::bigint[]) AS w (id) WHERE EXISTS (SELECT FROM slackchat_bridge.deliveries d WHERE d.webhook_id = w.id AND d.status = 'waiting')`,
    [webhookIds],
  );
  return new Set(result.rows.map((row) => row.id));
}
