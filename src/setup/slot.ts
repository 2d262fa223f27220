import type pg from 'pg';
import { inspect, type Names } from './inspect.js';
import { createSlotSql } from './plan.js';

/** Every endpoint has to hear of every channel: stands in `meta` until it has been asked for. */
const PENDING = 'resync pending';

/**
 * Makes the slot anew after it was lost. What was committed in between is not in it, so a resync of
 * everything is noted first and asked for later, by `resumeResync`, once the new slot can carry it.
 */
export async function replaceSlot(pool: pg.Pool, slot: string, names: Names): Promise<void> {
  await pool.query(`INSERT INTO slackchat_bridge.meta (key, value) VALUES ($1, now()::text) ON CONFLICT (key) DO NOTHING`, [PENDING]);
  const state = await inspect(pool, names);
  if (state.slot !== null) await pool.query('SELECT pg_drop_replication_slot($1)', [slot]);
  await pool.query(createSlotSql(state, slot));
}

/** @returns whether a resync was pending; it is now in the stream */
export async function resumeResync(pool: pg.Pool): Promise<boolean> {
  const result = await pool.query(
    `WITH pending AS (DELETE FROM slackchat_bridge.meta WHERE key = $1 RETURNING key)
     SELECT pg_logical_emit_message(true, 'slackchat_bridge', '{"resync":"*"}') FROM pending`,
    [PENDING],
  );
  return (result.rowCount ?? 0) > 0;
}
