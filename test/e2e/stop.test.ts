import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { listenOnFreePort } from '../support/port.js';
import { startBridge } from '../support/process.js';
import { createScene, runningScene, type Scene } from '../support/scene.js';
import { startProxy } from '../support/tcp-proxy.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

test('SIGTERM while the stream is being begun again ends the process', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await createScene({ serverUrl: server.url() });
  const { db } = scene;
  const proxy = await startProxy(server.port);
  onTestFinished(async () => proxy.close());
  const bridge = await scene.start({ DATABASE_URL: db.urlVia(proxy.port) });
  await scene.register(scene.hook.url);
  proxy.delay(150);
  const [before] = await db.query<{ pid: number }>('SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1', [db.slotName]);
  await db.query('SELECT pg_terminate_backend($1)', [before?.pid]);
  // A new session is there, and several round trips are left until it streams.
  await eventually(async () => {
    const sessions = await db.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database() AND pid <> $1", [before?.pid]);
    expect(sessions).toHaveLength(1);
  });
  bridge.kill('SIGTERM');
  expect(await bridge.exited).toEqual({ code: 0, signal: null });
  await eventually(async () => expect(await db.query('SELECT active FROM pg_replication_slots')).toEqual([{ active: false }]));
});

test('SIGTERM while the database is away and something must be parked ends in time; it is delivered after the next start', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url(), env: { SHUTDOWN_TIMEOUT_MS: '1000' } });
  const { hook, bridge } = scene;
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say(scene, 'x');
  const [first] = await hook.waitForNotifications(1);
  await server.stop('immediate');
  const stopped = performance.now();
  await bridge.stop('SIGTERM');
  expect(performance.now() - stopped).toBeLessThan(6_000);
  gate.open();
  hook.clear();
  await server.start();
  await scene.start();
  const [again] = await hook.waitForNotifications(1);
  expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
});

test('SIGTERM while a 410 cannot be noted ends the process all the same', async () => {
  const scene = await runningScene();
  const { db, hook, bridge } = scene;
  hook.respond = () => ({ status: 410 });
  await db.query('ALTER TABLE slackchat_bridge.webhooks ADD CONSTRAINT not_now CHECK (enabled)');
  await say(scene, 'a');
  await bridge.waitForLog(({ reason }) => String(reason).includes('not_now'));
  expect(await bridge.stop('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('an admin port that is taken ends the process with status 1 and a clear message', async () => {
  const scene = await createScene();
  await (await scene.start()).stop();
  const other = createServer(() => undefined);
  onTestFinished(() => { other.close(); });
  const port = await listenOnFreePort(other);
  const bridge = startBridge({ ...scene.env, ADMIN_PORT: String(port) }, ['run']);
  expect(await bridge.exited).toEqual({ code: 1, signal: null });
  expect(bridge.stderr).toContain('ADMIN_PORT');
});
