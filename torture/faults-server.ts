import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '../src/lsn.js';
import type { Fault, Faults } from './faults.js';
import type { LostSlot } from './judge.js';
import type { Stage } from './stage.js';

const terminate = (where: string): Fault => async (stage) => {
  const { rowCount } = await stage.pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'slackchat-bridge' AND ${where}`);
  return (rowCount ?? 0) > 0;
};

const down = (mode: 'immediate' | 'fast'): Fault => async (stage, random) => {
  await stage.server.stop(mode);
  await sleep(random.pick([0, 200, 1_500]));
  await stage.server.start();
  return true;
};

const lock = (statement: string): Fault => async (stage, random) => {
  const client = await stage.pool.connect();
  try {
    await client.query('BEGIN');
    await client.query(statement);
    await sleep(random.pick([100, 800, 2_500, 6_000]));
    await client.query('ROLLBACK');
    client.release();
    return true;
  } catch (error) {
    client.release(true);
    throw error;
  }
};

/** With the bridge streaming from it, or not. */
async function dropSlot(stage: Stage): Promise<boolean> {
  await stage.sampleConfirmed();
  const lost: LostSlot = { confirmed: stage.confirmed, remade: null };
  stage.lostSlots.push(lost);
  await stage.pool.query(`
    DO $$ BEGIN
      FOR attempt IN 1..400 LOOP
        PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'slackchat_bridge' AND active;
        BEGIN
          PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'slackchat_bridge';
          RETURN;
        EXCEPTION WHEN object_in_use THEN
          PERFORM pg_sleep(0.005);
        END;
      END LOOP;
      RAISE EXCEPTION 'the slot could not be dropped';
    END $$`);
  // A new one has confirmed nothing but where it begins.
  while (lost.remade === null) {
    const found = await stage.pool.query<{ lsn: string | null }>("SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = 'slackchat_bridge'").catch(() => null);
    const lsn = found?.rows[0]?.lsn;
    if (lsn !== undefined && lsn !== null) lost.remade = parseLsn(lsn);
    else await sleep(4);
    if (stage.bridges.alive.length === 0) stage.bridges.start();
  }
  return true;
}

export const serverFaults: Faults = {
  'walsender terminated': [4, terminate("backend_type = 'walsender'")],
  'pool sessions terminated': [4, terminate("backend_type = 'client backend'")],
  'stop -m immediate': [2, down('immediate')],
  'stop -m fast': [1, down('fast')],
  'deliveries locked': [2, lock('LOCK TABLE slackchat_bridge.deliveries IN ACCESS EXCLUSIVE MODE')],
  'webhooks locked': [1, lock('LOCK TABLE slackchat_bridge.webhooks IN ACCESS EXCLUSIVE MODE')],
  'reactions locked': [1, lock('LOCK TABLE slackchat_reaction IN ACCESS EXCLUSIVE MODE')],
  'slot dropped': [0.4, dropSlot],
};
