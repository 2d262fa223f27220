import type { DatabaseState } from './inspect.js';
import type { Names } from './names.js';

/** One thing to do: its statements run in one transaction, in order. */
export interface Step {
  readonly title: string;
  /** what the role must be or have */
  readonly needs: string;
  readonly sql: readonly string[];
  /** it is about a slot that was there before: ON_SLOT_LOST decides about that */
  readonly lost?: boolean;
  /** it removes what nobody needs: the bridge runs without it */
  readonly tidying?: boolean;
}

/** In `meta`, until it has been asked for. A shard's own, because only its own stream can say that it is whole again. */
export function resyncPending(names: Pick<Names, 'slot' | 'shard'>): string {
  return names.shard === null ? 'resync pending' : `resync pending ${names.slot}`;
}

export function noteResyncSql(names: Pick<Names, 'slot' | 'shard'>): string {
  // Nobody has been told of everything any more.
  return `WITH forgotten AS (DELETE FROM slackchat_bridge.complete_since WHERE slot = ${literal(names.slot)})
INSERT INTO slackchat_bridge.meta (key, value) VALUES (${literal(resyncPending(names))}, now()::text) ON CONFLICT (key) DO NOTHING`;
}

/** The bridge had this slot before: a missing one was lost. */
export function slotWasMade(state: Pick<DatabaseState, 'meta'>, names: Pick<Names, 'slot' | 'shard'>): boolean {
  return state.meta.get(slotKey(names)) === names.slot;
}

/** In `meta`: that there was this slot. */
export function slotKey({ slot, shard }: Pick<Names, 'slot' | 'shard'>): string {
  return shard === null ? 'slot' : `slot ${slot}`;
}

/** What is remembered of a slot that was dropped on purpose; an instance that still believes to lead there writes nothing any more. */
export function forgetSlotSql(names: Pick<Names, 'slot' | 'shard'>): string {
  return `DELETE FROM slackchat_bridge.meta WHERE key IN (${literal(slotKey(names))}, ${literal(`leader of ${names.slot}`)})`;
}

export function dropSlotSql(slot: string): string {
  return `SELECT pg_catalog.pg_drop_replication_slot(${literal(slot)})`;
}

/** Only while it is lost: someone else may have made it anew meanwhile. */
export function dropLostSlotSql(slot: string): string {
  return `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots\n WHERE slot_name = ${literal(slot)} AND wal_status = 'lost'`;
}

/** The slot by itself: at setup, and again when it was lost. */
export function createSlotSql(state: Pick<DatabaseState, 'serverVersion'>, slot: string): string {
  const failover = state.serverVersion >= 170_000 ? ', failover => true' : '';
  return `SELECT pg_catalog.pg_create_logical_replication_slot(${literal(slot)}, 'pgoutput'${failover})`;
}

/** Remembers that there was a slot, so that a missing one can be told from one that never was. */
export function rememberSlotSql(names: Pick<Names, 'slot' | 'shard'>): string {
  return remember(slotKey(names), names.slot);
}

export function remember(key: string, value: string): string {
  return `INSERT INTO slackchat_bridge.meta (key, value) VALUES (${literal(key)}, ${literal(value)})\n  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
