import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { listenOnFreePort } from '../support/port.js';
import { startReceiver } from '../support/receiver.js';
import { createScene, runningScene, waitConfirmed, type Scene } from '../support/scene.js';
import type { BridgeProcess } from '../support/process.js';

const MEGABYTE = 1024 * 1024;
/** `npm run bounds` has the whole strains; here each is small, and the buffer as small as it may be. */
const small = { env: { MAX_BUFFER_MB: '8', MAX_PAYLOAD_MB: '2', RETRY_BASE_MS: '100', RETRY_MAX_MS: '200' } };
/** Beside the buffer: what Node itself grows by under load, garbage included. */
const GROWTH_MB = 72;

/** Of a process, in MB: what it has in memory, or the most that it ever had. Linux keeps both; elsewhere it is asked, afterwards. */
async function resident(bridge: BridgeProcess, which: 'VmRSS' | 'VmHWM'): Promise<number> {
  if (process.platform === 'linux') return Number(new RegExp(`^${which}:\\s+(\\d+) kB$`, 'mu').exec(await readFile(`/proc/${bridge.pid}/status`, 'utf8'))?.[1]) / 1024;
  const metrics = await (await fetch(`${await bridge.adminUrl()}/metrics`)).text();
  return Number(/^process_resident_memory_bytes(?:\{.*\})? (\S+)$/mu.exec(metrics)?.[1]) / MEGABYTE;
}

/** @returns what it had before, and the most that it had by the end of the work */
async function watch(bridge: BridgeProcess, work: () => Promise<unknown>): Promise<{ readonly base: number; readonly peak: number }> {
  const base = await resident(bridge, 'VmRSS');
  await work();
  return { base, peak: await resident(bridge, 'VmHWM') };
}

async function expectBounded(bridge: BridgeProcess, work: () => Promise<unknown>): Promise<void> {
  const { base, peak } = await watch(bridge, work);
  expect(base).toBeGreaterThan(20);
  expect(peak - base).toBeLessThan(8 + GROWTH_MB);
}

async function many({ db, chat }: Scene, count: number, text: string): Promise<unknown> {
  return db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT now() + i * interval '1 s', $4 || i, $1, $2 FROM generate_series(1, $3::int) i`,
    [chat.channelId, chat.userIds[0], count, text],
  );
}

test('one transaction, twice as large as the buffer', { timeout: 90_000 }, async () => {
  const scene = await runningScene(small);
  await expectBounded(scene.bridge, async () => {
    await many(scene, 1_500, 'x'.repeat(10_000));
    await scene.hook.waitForNotifications(1_500, { timeoutMs: 80_000 });
  });
});

test('an endpoint that hangs while eight megabytes are told', { timeout: 90_000 }, async () => {
  const scene = await runningScene({ env: { ...small.env, REQUEST_TIMEOUT_MS: '600000' } });
  const gate = closedGate();
  const hanging = await startReceiver({ respond: () => ({ status: 200, delayUntil: gate.opened }) });
  onTestFinished(async () => hanging.close());
  onTestFinished(() => gate.open());
  await scene.register(hanging.url);
  await expectBounded(scene.bridge, async () => {
    for (let count = 0; count < 8; count += 1) await many(scene, 50, 'x'.repeat(20_000));
    await scene.hook.waitForNotifications(400, { timeoutMs: 80_000 });
    await waitConfirmed(scene.db);
  });
});

test('texts of ten megabytes, and a reaction to each of fifty messages of half a megabyte', { timeout: 90_000 }, async () => {
  const scene = await createScene(small);
  const { db, chat, hook } = scene;
  await db.query(`INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT now() + i * interval '1 s', repeat('x', 500000), $1, $2 FROM generate_series(1, 50) i`, [chat.channelId, chat.userIds[0]]);
  const bridge = await scene.start();
  await scene.register(hook.url);
  const { peak, base } = await watch(bridge, async () => {
    await db.query(`INSERT INTO slackchat_reaction ("timestamp", reaction, message_id, user_id) SELECT "timestamp", 'fire', id, user_id FROM slackchat_message`);
    await hook.waitForNotifications(50, { timeoutMs: 80_000 });
    for (let count = 0; count < 3; count += 1) await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'y'.repeat(10 * MEGABYTE) });
    await eventually(async () => expect(await db.query("SELECT FROM slackchat_bridge.deliveries WHERE status = 'dead'")).toHaveLength(3), { timeoutMs: 30_000 });
  });
  // One row has to be in memory as a whole: as it comes, grown to twice its size, and decoded.
  expect(peak - base).toBeLessThan(8 + GROWTH_MB + 6 * 10);
});

test('thirty megabytes of parked deliveries at the start', { timeout: 90_000 }, async () => {
  const scene = await createScene(small);
  const { db, hook } = scene;
  const first = await scene.start();
  const webhookId = await scene.register(hook.url);
  await first.stop();
  await db.query(
    `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, next_attempt_at)
     SELECT $1, 'n' || i, 'message:' || i, '0/1', i, 'c', json_build_object('type', 'x', 'text', repeat('y', CASE WHEN i % 10 = 0 THEN 1500000 ELSE 50000 END))::text, now() FROM generate_series(1, 150) i`,
    [webhookId],
  );
  const bridge = await scene.start();
  await expectBounded(bridge, async () => {
    await hook.waitForNotifications(150, { timeoutMs: 80_000 });
    await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]));
  });
});

test('an announcement of three thousand channels, each with its chat type', { timeout: 90_000 }, async () => {
  const scene = await runningScene(small);
  const { db, chat, hook, webhookId } = scene;
  await db.query(
    `INSERT INTO slackchat_channel (id, publish_path, live, chat_type_id, owner_id, published) SELECT gen_random_uuid(), 'p' || i, true, $1, $2, false FROM generate_series(1, 3000) i`,
    [chat.chatTypeId, chat.userIds[0]],
  );
  await expectBounded(scene.bridge, async () => {
    await db.query('SELECT slackchat_bridge.resync($1)', [webhookId]);
    await hook.waitForNotifications(3_001, { timeoutMs: 80_000 });
  });
  expect(new Set(hook.notifications.map(({ body }) => body.channel)).size).toBe(3_001);
  expect(new Set(hook.notifications.map(({ rawBody }) => /"chat_type":("\w+"|null)/u.exec(rawBody)?.[1]))).toEqual(new Set(['"default"']));
});

test('receivers that answer without end', { timeout: 60_000 }, async () => {
  const scene = await runningScene(small);
  scene.hook.respond = () => ({ status: 200, body: 'x'.repeat(4 * MEGABYTE) });
  await expectBounded(scene.bridge, async () => {
    await many(scene, 100, 'a');
    await scene.hook.waitForNotifications(100, { timeoutMs: 50_000 });
    await waitConfirmed(scene.db);
  });
});

test('connections to six hundred endpoints: so many at once as there is room for, and few are kept', { timeout: 90_000 }, async () => {
  const scene = await createScene(small);
  const sockets = { open: 0, peak: 0, requests: 0 };
  // It would keep them for a minute.
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => { text += chunk.toString(); });
    request.once('end', () => {
      const challenge = /"challenge":"(\w+)"/u.exec(text)?.[1];
      if (challenge === undefined) sockets.requests += 1;
      response.end(challenge);
    });
  });
  server.on('connection', (socket) => {
    sockets.open += 1;
    sockets.peak = Math.max(sockets.peak, sockets.open);
    socket.once('close', () => { sockets.open -= 1; });
  });
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await scene.start();
  await scene.db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) SELECT 'http://127.0.0.1:' || $1::text || '/' || i FROM generate_series(1, 600) i", [String(port)]);
  await eventually(async () => expect(await scene.db.query('SELECT FROM slackchat_bridge.webhooks WHERE NOT verified')).toEqual([]), { timeoutMs: 60_000 });
  for (let round = 1; round <= 3; round += 1) {
    await many(scene, 1, `round ${round} `);
    await eventually(() => expect(sockets.requests).toBe(600 * round), { timeoutMs: 30_000 });
  }
  // With 8 MB 64 requests to as many endpoints are under way at the most, half as many to slow ones, and 64 connections are kept; some are about to be closed.
  expect(sockets.peak).toBeLessThan(350);
  await eventually(() => expect(sockets.open).toBeLessThanOrEqual(64));
  expect(sockets.open).toBeGreaterThan(32);
});
