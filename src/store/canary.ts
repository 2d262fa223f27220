import type pg from 'pg';
import { parseLsn, type Lsn } from '../lsn.js';

/**
 * A transaction that changes nothing, told to the stream alone: a logical message that is transactional,
 * because any other takes no part in the order of commits. It waits for no standby and for no flush.
 * @returns the LSN of the message, which the transaction's commit follows
 */
export async function sendCanary(pool: pg.Pool): Promise<Lsn> {
  const result = await pool.query<{ lsn: string }>(
    `SELECT set_config('synchronous_commit', 'off', true), pg_logical_emit_message(true, 'slackchat_bridge', '{"canary":true}')::text AS lsn`,
  );
  return parseLsn(result.rows[0]?.lsn ?? '0/0');
}
