import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '../src/lsn.js';
import { STOP_MS } from './bridges.js';
import type { Stage } from './stage.js';

const POLL_MS = 100;
const NUDGE_MS = 4_000;

/**
 * All faults are off: endpoints are enabled and verified again, and everything comes to rest.
 * @param stuckMs so long nothing moves when something is stuck
 * @returns what did not; empty when all did
 */
export async function settle(stage: Stage, stuckMs: number): Promise<readonly string[]> {
  stage.network.mend();
  for (const { receiver, network } of stage.endpoints) {
    receiver.manner = 'well';
    receiver.challenges = 'echo';
    network?.mend();
  }
  await stage.server.start();
  for (const bridge of stage.bridges.alive) bridge.thaw();
  if (stage.bridges.alive.length === 0) stage.bridges.start();
  await findIds(stage);
  const unverified = await verified(stage, Date.now() + stuckMs);
  if (unverified.length > 0) return unverified;
  return quiet(stage, stuckMs);
}

/** An INSERT whose answer was lost. */
async function findIds(stage: Stage): Promise<void> {
  for (const endpoint of stage.endpoints) {
    if (endpoint.webhookId !== '') continue;
    const { rows } = await stage.pool.query<{ id: string }>('SELECT id::text FROM slackchat_bridge.webhooks WHERE endpoint LIKE $1', [`%/${endpoint.name}/%`]);
    if (rows[0] === undefined) await stage.register(endpoint);
    else endpoint.webhookId = rows[0].id;
  }
}

/** What a person would do: tick `enabled` again, and save a row once more whose verification has failed. */
async function verified(stage: Stage, deadline: number): Promise<readonly string[]> {
  for (let nudged = 0; ; await sleep(POLL_MS)) {
    const { rows } = await stage.pool.query<{ id: string; said: string }>(
      "SELECT id::text, format('webhook %s: enabled %s, verified %s, last_error %s', id, enabled, verified, last_error) AS said FROM slackchat_bridge.webhooks WHERE NOT (enabled AND verified)",
    );
    if (rows.length === 0) return [];
    if (Date.now() > deadline) return rows.map(({ said }) => `not verified in the end: ${said}`);
    if (Date.now() - nudged < NUDGE_MS) continue;
    nudged = Date.now();
    await stage.pool.query('UPDATE slackchat_bridge.webhooks SET enabled = true WHERE NOT (enabled AND verified)');
  }
}

/** The slot is confirmed up to the end, and nothing waits. A machine that is busy may take its time, as long as there is progress. */
async function quiet(stage: Stage, stuckMs: number): Promise<readonly string[]> {
  // Two statements: its own commit must lie before the position that is asked for.
  await stage.pool.query("SELECT pg_logical_emit_message(true, 'torture', 'the end')");
  const { rows } = await stage.pool.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  const end = parseLsn(rows[0]?.lsn ?? '0/0');
  const arrivals = new Arrivals(stage);
  let [confirmed, came, waiting, progressAt] = [0n, 0, Number.POSITIVE_INFINITY, Date.now()];
  for (; ; await sleep(POLL_MS)) {
    await stage.sampleConfirmed();
    const left = await stage.pool.query<{ said: string; all: string }>(
      `SELECT format('delivery %s %s to webhook %s in lane %s: attempts %s, next %s, last_error %s', notification_id, status, webhook_id, lane, attempts, next_attempt_at, last_error) AS said,
              (SELECT count(*) FROM slackchat_bridge.deliveries) AS all
         FROM slackchat_bridge.deliveries ORDER BY status, id LIMIT 10`,
    );
    if (stage.confirmed >= end && left.rows.length === 0) return [];
    const now = { confirmed: stage.confirmed < end ? stage.confirmed : end, came: arrivals.count(), waiting: Number(left.rows[0]?.all ?? 0) };
    // What only goes round in circles brings nothing that had not come before, and leaves as many rows.
    if (now.confirmed > confirmed || now.came > came || now.waiting < waiting) progressAt = Date.now();
    [confirmed, came, waiting] = [now.confirmed, now.came, Math.min(waiting, now.waiting)];
    if (Date.now() - progressAt < stuckMs) continue;
    return [...(stage.confirmed < end ? ['the slot is not confirmed up to the end'] : []), ...left.rows.map(({ said }) => `left: ${said}`)];
  }
}

/** How many notifications have come, each counted once for each endpoint. */
class Arrivals {
  readonly #stage: Stage;
  readonly #seen = new Map<string, { looked: number; readonly ids: Set<string> }>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  count(): number {
    let all = 0;
    for (const { name, receiver: { requests } } of this.#stage.endpoints) {
      const seen = this.#seen.get(name) ?? { looked: 0, ids: new Set<string>() };
      this.#seen.set(name, seen);
      for (const { id } of requests.slice(seen.looked)) seen.ids.add(id);
      seen.looked = requests.length;
      all += seen.ids.size;
    }
    return all;
  }
}

/** @returns what is wrong with how the processes ended */
export async function stopBridges(stage: Stage): Promise<readonly string[]> {
  await Promise.all(stage.bridges.alive.map((bridge) => bridge.stop(STOP_MS)));
  const hanging = stage.bridges.all.filter((bridge) => bridge.hung).map((bridge) => `bridge ${bridge.number} does not end after SIGTERM:\n    ${bridge.lines.slice(-6).join('\n    ')}`);
  const surprises = stage.bridges.surprises.map((bridge) => `bridge ${bridge.number} ended by itself or badly, with status ${String(bridge.code)}:\n    ${bridge.lines.slice(-6).join('\n    ')}`);
  return [...hanging, ...surprises];
}
