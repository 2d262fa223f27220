import { setTimeout as sleep } from 'node:timers/promises';
import { STOP_MS, type Bridge } from './bridges.js';
import type { Fault, Faults } from './faults.js';
import type { Manner } from './manners.js';
import type { Random } from './random.js';
import type { Endpoint, Stage } from './stage.js';

const SLOT_HOLDER = "SELECT active_pid::text AS pid FROM pg_replication_slots WHERE slot_name = 'slackchat_bridge' AND active";

/** The newest process; one is started when there is none. */
function current(stage: Stage): Bridge {
  return stage.bridges.alive.at(-1) ?? stage.bridges.start();
}

/** Killed, and another is started after a while. */
async function killAndRestart(stage: Stage, random: Random): Promise<void> {
  for (const bridge of stage.bridges.alive) bridge.kill();
  await sleep(random.pick([0, 0, 300, 1_500]));
  stage.bridges.start();
}

/** Resolves as soon as it holds. @returns false when it did not within the time */
async function until(holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(5)) if (await holds()) return true;
  return false;
}

async function answering<T>(endpoint: Endpoint, manner: Manner, work: () => Promise<T>): Promise<T> {
  const before = endpoint.receiver.manner;
  endpoint.receiver.manner = manner;
  try {
    return await work();
  } finally {
    endpoint.receiver.manner = before === 'gone' ? 'well' : before;
  }
}

const kill: Fault = async (stage, random) => {
  current(stage);
  await killAndRestart(stage, random);
  return true;
};

const restart: Fault = async (stage) => {
  await current(stage).stop(STOP_MS);
  if (stage.bridges.alive.length === 0) stage.bridges.start();
  return true;
};

const freeze: Fault = async (stage, random) => {
  const bridge = current(stage);
  bridge.freeze();
  await sleep(random.pick([100, 500, 2_000, 7_000]));
  bridge.thaw();
  return true;
};

const killAtStart: Fault = async (stage, random) => {
  await killAndRestart(stage, random);
  await sleep(random.integer(0, 900));
  await killAndRestart(stage, random);
  return true;
};

/** Its INSERT waits for a lock that is held here. */
const killBeforeParking: Fault = async (stage, random) => {
  current(stage);
  const client = await stage.pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('LOCK TABLE slackchat_bridge.deliveries IN EXCLUSIVE MODE');
    const waiting = async (): Promise<boolean> => {
      const { rows } = await client.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO slackchat_bridge.deliveries%'");
      return rows.length > 0;
    };
    const reached = await answering(stage.endpoint('steady'), 'error', () => until(waiting, 3_000));
    if (reached) await killAndRestart(stage, random);
    await client.query('ROLLBACK');
    client.release();
    return reached;
  } catch (error) {
    client.release(true);
    throw error;
  }
};

/** The rows are there, but the server has not heard that what they stand for is settled. */
const killBeforeConfirming: Fault = async (stage, random) => {
  current(stage);
  const newest = async (): Promise<number> => {
    const { rows } = await stage.pool.query<{ id: string }>('SELECT coalesce(max(id), 0)::text AS id FROM slackchat_bridge.deliveries');
    return Number(rows[0]?.id);
  };
  stage.network.silenceReplication(true);
  try {
    const before = await newest();
    const reached = await answering(stage.endpoint(random.pick(['steady', 'ordered', 'picky'])), 'error', () => until(async () => (await newest()) > before, 3_000));
    if (reached) {
      await sleep(random.integer(0, 150));
      await killAndRestart(stage, random);
    }
    return reached;
  } finally {
    stage.network.silenceReplication(false);
  }
};

/** Some of what was parked has been delivered, and has its row yet: the DELETE waits for locks on the rows that are held here. */
const killBeforeDeleting: Fault = async (stage, random) => {
  current(stage);
  const endpoint = stage.endpoint(random.pick(['steady', 'ordered']));
  const parked = async (): Promise<boolean> => {
    const { rows } = await stage.pool.query("SELECT FROM slackchat_bridge.deliveries WHERE webhook_id = $1 AND status = 'waiting' LIMIT 5", [endpoint.webhookId]);
    return rows.length === 5;
  };
  if (!(await answering(endpoint, 'error', () => until(parked, 4_000)))) return false;
  const client = await stage.pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT FROM slackchat_bridge.deliveries WHERE webhook_id = $1 FOR UPDATE', [endpoint.webhookId]);
    const deleting = async (): Promise<boolean> => {
      const { rows } = await client.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM slackchat_bridge.deliveries%'");
      return rows.length > 0;
    };
    const reached = await until(deleting, 6_000);
    if (reached) {
      await sleep(random.integer(0, 300));
      await killAndRestart(stage, random);
    }
    await client.query('ROLLBACK');
    client.release();
    return reached;
  } catch (error) {
    client.release(true);
    throw error;
  }
};

const killInVerification: Fault = async (stage, random) => {
  current(stage);
  const endpoint = stage.endpoint('mover');
  endpoint.receiver.challenges = 'hold';
  try {
    stage.declare(endpoint);
    endpoint.moves += 1;
    await stage.pool.query('UPDATE slackchat_bridge.webhooks SET endpoint = $2 WHERE id = $1', [endpoint.webhookId, stage.address(endpoint)]);
    const reached = await until(() => endpoint.receiver.holding > 0, 3_000);
    if (reached) await killAndRestart(stage, random);
    return reached;
  } finally {
    endpoint.receiver.challenges = 'echo';
  }
};

const killInShutdown: Fault = async (stage, random) => {
  const bridge = current(stage);
  return answering(stage.endpoint('steady'), 'hang', async () => {
    await sleep(200);
    const stopping = bridge.says('"stopping"', 4_000);
    bridge.terminate();
    const reached = await stopping;
    await sleep(random.integer(0, 2_500));
    await killAndRestart(stage, random);
    return reached;
  });
};

const twoAtOnce: Fault = async (stage, random) => {
  const first = current(stage);
  const second = stage.bridges.start();
  const standby = await second.says('standing by', 8_000);
  await sleep(random.integer(0, 1_000));
  if (random.chance(0.5)) first.kill();
  await first.stop(STOP_MS);
  await second.says('"streaming"', 5_000);
  return standby;
};

/** The leader hangs, loses the slot to another, and goes on. */
const staleLeader: Fault = async (stage, random) => {
  const leader = current(stage);
  const second = stage.bridges.start();
  const standby = await second.says('standing by', 8_000);
  leader.freeze();
  try {
    const streaming = second.says('"streaming"', 8_000);
    const { rows } = await stage.pool.query<{ pid: string }>(SLOT_HOLDER);
    for (const { pid } of rows) await stage.pool.query('SELECT pg_terminate_backend($1)', [pid]);
    await streaming;
    await sleep(random.integer(0, 2_000));
  } finally {
    leader.thaw();
  }
  await sleep(random.integer(0, 2_500));
  random.pick([leader, second]).kill();
  return standby;
};

export const bridgeFaults: Faults = {
  'kill -9': [6, kill],
  'kill -9 at start': [2, killAtStart],
  'kill -9 before parking': [2, killBeforeParking],
  'kill -9 between parking and confirming': [3, killBeforeConfirming],
  'kill -9 between delivering and deleting': [2, killBeforeDeleting],
  'kill -9 in verification': [2, killInVerification],
  'kill -9 in shutdown': [2, killInShutdown],
  SIGTERM: [3, restart],
  SIGSTOP: [2, freeze],
  'two instances': [2, twoAtOnce],
  'stale leader': [1, staleLeader],
};
