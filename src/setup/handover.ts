import type pg from 'pg';
import { formatLsn, parseLsn, type Lsn } from '../lsn.js';
import { countOf, allOf, shardOfSlot, type Names } from './names.js';
import type { DatabaseState } from './inspect.js';
import { LAYOUT_KEYS, layoutOf } from './layout.js';
import { forgetSlotSql, noteResyncSql, resyncPending } from './statements.js';

const LONGEST_ADVANCE_MS = 6 * 3_600_000;
const META = 'slackchat_bridge.meta';

/** From here on the instances of before have nothing to do any more. @returns false when another one has begun */
export async function beginHandover(pool: pg.Pool, { from, to }: { readonly from: number; readonly to: number }): Promise<boolean> {
  const { rows } = await pool.query<{ begun: string }>(
    `WITH due AS (DELETE FROM ${META} WHERE key = '${LAYOUT_KEYS.next}' AND value = $1 RETURNING key),
          noted AS (INSERT INTO ${META} (key, value) SELECT key, value FROM (VALUES ('${LAYOUT_KEYS.count}', $1), ('${LAYOUT_KEYS.from}', $2)) n (key, value) WHERE EXISTS (SELECT FROM due)
                      ON CONFLICT (key) DO UPDATE SET value = excluded.value)
     SELECT count(*) AS begun FROM due`,
    [String(to), String(from)],
  );
  return rows[0]?.begun === '1';
}

/** Decides, once, where the new ones begin. Its own commit makes the server send everything before. */
export async function handoverPosition(pool: pg.Pool): Promise<Lsn> {
  await pool.query(`INSERT INTO ${META} (key, value) VALUES ($1, pg_current_wal_insert_lsn()::text) ON CONFLICT (key) DO NOTHING`, [LAYOUT_KEYS.at]);
  const { rows } = await pool.query<{ value: string }>(`SELECT value FROM ${META} WHERE key = $1`, [LAYOUT_KEYS.at]);
  return parseLsn(rows[0]?.value ?? '0/0');
}

/** What a lost slot held is known to nobody: every channel is announced once the new ones stream. */
export async function noteLost(pool: pg.Pool, names: Names): Promise<void> {
  const [first = names] = allOf(names, countOf(names));
  await pool.query('DELETE FROM slackchat_bridge.complete_since');
  await pool.query(noteResyncSql(first));
}

/** The new slots begin at the position; those of before are done. What all of those have told completely, all of the new ones have. */
export async function endHandover(pool: pg.Pool, names: Names, from: number, at: Lsn): Promise<void> {
  const all = allOf(names, countOf(names));
  const before = allOf(names, from).map(({ slot }) => slot);
  for (const { slot } of all) await advance(pool, slot, at);
  await pool.query(
    `WITH told AS (DELETE FROM slackchat_bridge.complete_since WHERE slot = ANY ($1) RETURNING webhook_id, since)
     INSERT INTO slackchat_bridge.complete_since (webhook_id, slot, since)
     SELECT t.webhook_id, s.slot, max(t.since) FROM told t CROSS JOIN unnest($2::text[]) AS s(slot) GROUP BY t.webhook_id, s.slot HAVING count(*) = cardinality($1)
     ON CONFLICT (webhook_id, slot) DO UPDATE SET since = excluded.since`,
    [before, all.map(({ slot }) => slot)],
  );
  // What was pending for one of before is asked for by the new first one.
  await pool.query(
    `WITH done AS (DELETE FROM ${META} WHERE key IN ('${LAYOUT_KEYS.from}', '${LAYOUT_KEYS.at}')),
          pending AS (DELETE FROM ${META} WHERE starts_with(key, 'resync pending') AND key <> ALL ($1) RETURNING key)
     INSERT INTO ${META} (key, value) SELECT $2, now()::text WHERE EXISTS (SELECT FROM pending) ON CONFLICT (key) DO NOTHING`,
    [all.map((one) => resyncPending(one)), resyncPending(all[0] ?? names)],
  );
}

/** It reads the WAL between, which can be much. A slot that is lost is left to ON_SLOT_LOST. */
async function advance(pool: pg.Pool, slot: string, to: Lsn): Promise<void> {
  const client = await pool.connect();
  let fault: Error | undefined;
  try {
    await client.query('BEGIN; SET LOCAL statement_timeout = 0');
    const statement = {
      text: `SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn < $2::pg_lsn AND wal_status <> 'lost'`,
      values: [slot, formatLsn(to)],
      // the driver's own
      query_timeout: LONGEST_ADVANCE_MS,
    };
    await client.query(statement);
    await client.query('COMMIT');
  } catch (error) {
    fault = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.release(fault);
  }
}

/** Slots that were for another number: they would keep WAL for ever. @returns their names */
export async function dropUnused(pool: pg.Pool, state: DatabaseState, names: Names): Promise<readonly string[]> {
  const { count, next } = layoutOf(state.meta);
  // Nothing is known of what is in use.
  if (count === null) return [];
  const dropped: string[] = [];
  for (const [name, { database, active }] of state.slots) {
    const shard = shardOfSlot(names, name);
    if (shard === undefined || database !== state.database || active || [count, next].includes(countOf({ shard }))) continue;
    await pool.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active', [name]);
    await pool.query(forgetSlotSql({ slot: name, shard }));
    dropped.push(name);
  }
  return dropped;
}
