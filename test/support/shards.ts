import { expect } from 'vitest';
import type { TestDatabase } from './database.js';
import { eventually } from './eventually.js';
import type { BridgeProcess } from './process.js';
import type { Scene } from './scene.js';

/** Each as a process of its own, streaming. */
export async function startShards(scene: Scene, count: number, env: Readonly<Record<string, string>> = {}): Promise<readonly BridgeProcess[]> {
  const shards: BridgeProcess[] = [];
  for (let index = 1; index <= count; index += 1) shards.push(await scene.start({ ...env, SHARD: `${index}/${count}` }));
  return shards;
}

export function slotsOf(db: TestDatabase, count: number): readonly string[] {
  return count === 1 ? [db.slotName] : Array.from({ length: count }, (_item, index) => `${db.slotName}_${index + 1}_of_${count}`);
}

/** All of them have reported that they are done with everything up to now. */
export async function waitAllConfirmed(db: TestDatabase, count: number, timeoutMs = 30_000): Promise<void> {
  const [now] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  const slots = slotsOf(db, count);
  await eventually(async () => {
    const [done] = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM pg_replication_slots WHERE slot_name = ANY ($1) AND confirmed_flush_lsn >= $2::pg_lsn', [slots, now?.lsn]);
    expect(done).toEqual({ n: count });
  }, { timeoutMs });
}

/** Of these ids, those whose messages a shard has (from 1), by the server's own hash. */
export async function idsOf(db: TestDatabase, ids: readonly number[], index: number, count: number): Promise<readonly number[]> {
  const rows = await db.query<{ id: number }>('SELECT i::int AS id FROM unnest($1::bigint[]) i WHERE mod(hashint8(i) & 2147483647, $2) = $3', [ids, count, index - 1]);
  return rows.map(({ id }) => id);
}
