import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { runCommand, startBridge, type BridgeProcess } from '../support/process.js';
import { createScene, runningScene } from '../support/scene.js';

/** A sample's value by its name and labels as they are written. */
async function scrape(bridge: BridgeProcess): Promise<(series: string) => number> {
  const text = await (await fetch(`${await bridge.adminUrl()}/metrics`)).text();
  const samples = new Map(text.split('\n').map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1).replace('Inf', 'Infinity'))]));
  return (series) => samples.get(`slackchat_bridge_${series}`) ?? Number.NaN;
}

test('the metrics follow what happens: latency, outcomes, the slot', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '60000' } });
  const { db, chat, hook, bridge } = scene;
  const say = async (text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
  await say('arrives');
  await hook.waitForNotifications(1);
  await eventually(async () => {
    const value = await scrape(bridge);
    expect(value('attempts_total{outcome="delivered"}')).toBe(1);
    expect(value('delivery_latency_seconds_count')).toBe(1);
    expect(value('delivery_latency_seconds_sum')).toBeLessThan(10);
    expect(value('verifications_total{result="verified"}')).toBe(1);
    expect(value('notifications_total{kind="message_created"}')).toBe(1);
    expect(value('endpoints{state="active"}')).toBe(1);
    expect(value('state{state="streaming"}')).toBe(1);
    expect(value('ready')).toBe(1);
    // Looked at when it began to lead.
    expect(value('slot_wal_status{status="reserved"}')).toBe(1);
    expect(value('slot_safe_bytes')).toBe(Number.POSITIVE_INFINITY);
    expect(value('slot_retained_bytes')).toBeGreaterThan(0);
  });

  hook.respond = () => ({ status: 503 });
  await say('is refused');
  await eventually(async () => {
    const value = await scrape(bridge);
    expect(value('attempts_total{outcome="rejected"}')).toBe(1);
    expect(value('deliveries_parked_total')).toBe(1);
    expect(value('delivery_latency_seconds_count')).toBe(1);
    expect(value('attempt_duration_seconds_count')).toBe(2);
  });

  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say('is under way');
  await eventually(async () => expect((await scrape(bridge))('requests_in_flight')).toBe(1));
  gate.open();
  await eventually(async () => expect((await scrape(bridge))('requests_in_flight')).toBe(0));
});

test('what waits and what is dead is counted, with the age of the oldest that waits', async () => {
  const { db, env } = await createScene();
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint, enabled) VALUES ('http://127.0.0.1:1/', false)");
  await db.query(`
    INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, status, first_attempt_at)
    SELECT w.id, n::text, 'message:' || n, '0/1', n, 'c', '{}', CASE n WHEN 1 THEN 'dead' ELSE 'waiting' END, now() - n * interval '1 hour'
      FROM slackchat_bridge.webhooks w, generate_series(1, 3) n`);
  const bridge = startBridge(env);
  await bridge.waitReady();
  const value = await scrape(bridge);
  expect(value('deliveries_waiting')).toBe(2);
  expect(value('deliveries_dead')).toBe(1);
  expect(Math.round(value('deliveries_oldest_waiting_seconds') / 3600)).toBe(3);
  expect(value('endpoints{state="disabled"}')).toBe(1);
});

test('a bridge that cannot go on says for how long it has been behind', async () => {
  // A server of its own: the open transaction would hold up whoever makes a slot.
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, chat, hook, bridge } = scene;
  const id = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0] });
  await hook.waitForNotifications(1);
  const client = await db.pool.connect();
  try {
    // A changed message is read together with its children, and these nobody can read now.
    await client.query('BEGIN');
    await client.query('LOCK TABLE slackchat_keywordargument IN ACCESS EXCLUSIVE MODE');
    await db.query("UPDATE slackchat_message SET text = 'changed' WHERE id = $1", [id]);
    await eventually(async () => {
      const value = await scrape(bridge);
      expect(value('lag_seconds')).toBeGreaterThan(1);
      expect(value('unsettled_transactions')).toBe(1);
    }, { timeoutMs: 30_000 });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  await hook.waitForNotifications(2);
  await eventually(async () => expect((await scrape(bridge))('lag_seconds')).toBe(0), { timeoutMs: 30_000 });
}, 90_000);
