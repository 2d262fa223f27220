import type pg from 'pg';
import { PreconditionError, StreamError } from '../errors.js';
import { inspect } from './inspect.js';
import type { Names } from './names.js';
import { createSlotSql, dropLostSlotSql, noteResyncSql, resyncPending } from './statements.js';

/**
 * Makes the slot anew after it was lost. What was committed in between is not in it, so a resync of
 * everything is noted first and asked for later, by `resumeResync`, once the new slot can carry it.
 * @throws {PreconditionError} when the slot is there and is something else
 * @throws {StreamError} when it is there and not lost
 */
export async function replaceSlot(pool: pg.Pool, names: Names): Promise<void> {
  const state = await requireLost(pool, names);
  await noteResync(pool, names);
  if (state.slot !== null) await pool.query(dropLostSlotSql(names.slot));
  await pool.query(createSlotSql(state, names.slot));
}

/** The same SQLSTATE stands for a lost slot, for someone else's, and for a server that cannot use it now. */
export async function requireLost(pool: pg.Pool, names: Names): Promise<Awaited<ReturnType<typeof inspect>>> {
  const state = await inspect(pool, names);
  const { slot } = state;
  if (slot !== null && (slot.plugin !== 'pgoutput' || slot.database !== state.database)) {
    throw new PreconditionError(`replication slot "${names.slot}" belongs to something else (plugin ${slot.plugin}, database ${slot.database}): choose another SLOT_NAME`);
  }
  if (slot !== null && slot.walStatus !== 'lost') throw new StreamError(`replication slot "${names.slot}" cannot be used now, but is not lost (wal_status ${slot.walStatus})`);
  return state;
}

/** Every endpoint has to hear of every channel, as soon as there is a stream to carry it. */
export async function noteResync(pool: pg.Pool, names: Names): Promise<void> {
  await pool.query(noteResyncSql(names));
}

/** @returns whether a resync was pending; it is now in the stream */
export async function resumeResync(pool: pg.Pool, names: Names): Promise<boolean> {
  const result = await pool.query(
    `WITH pending AS (DELETE FROM slackchat_bridge.meta WHERE key = $1 RETURNING key)
     SELECT pg_logical_emit_message(true, 'slackchat_bridge', '{"resync":"*"}') FROM pending`,
    [resyncPending(names)],
  );
  return (result.rowCount ?? 0) > 0;
}
