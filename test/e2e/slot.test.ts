import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { runCommand, startBridge, type BridgeProcess } from '../support/process.js';
import { runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const BROKE = 'the replication stream broke';

async function ownServer(): Promise<PostgresServer> {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  return server;
}

async function readiness(bridge: BridgeProcess): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`${await bridge.adminUrl()}/readyz`);
  return { status: answer.status, text: await answer.text() };
}

const terminateStream = async ({ db }: Scene): Promise<unknown> =>
  db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active', [db.slotName]);

test('run --setup after the slot was lost announces every channel', async () => {
  const server = await ownServer();
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, chat, hook, bridge } = scene;
  expect((await bridge.stop()).code).toBe(0);
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  await say(scene, 'unseen');
  await scene.start();
  const [announced] = await hook.waitForNotifications(1);
  expect(announced?.body).toMatchObject({ type: 'update_notification', channel: chat.channelId });
  await say(scene, 'seen');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['update_notification', 'message_created seen']);
});

test('the setup command after the slot was lost makes it anew, and every channel is announced at the next start', async () => {
  const server = await ownServer();
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, hook, bridge } = scene;
  expect((await bridge.stop()).code).toBe(0);
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  await say(scene, 'unseen');
  expect((await runCommand(scene.env, ['setup'])).code).toBe(0);
  await say(scene, 'seen');
  await startBridge({ ...scene.env, ON_SLOT_LOST: 'stop' }, ['run']).waitReady();
  await hook.waitForNotifications(2);
  await waitConfirmed(db);
  expect(told(hook.notifications).sort()).toEqual(['message_created seen', 'update_notification']);
});

test('run --setup with ON_SLOT_LOST=stop makes no new slot in place of a lost one', async () => {
  const server = await ownServer();
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, bridge } = scene;
  expect((await bridge.stop()).code).toBe(0);
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  const stopping = startBridge({ ...scene.env, ON_SLOT_LOST: 'stop' }, ['run', '--setup']);
  expect((await stopping.exited).code).toBe(1);
  expect(stopping.stderr).toContain('ON_SLOT_LOST');
  expect(await db.query('SELECT FROM pg_replication_slots')).toEqual([]);
});

test('a slot of the same name that belongs to another database is left alone', async () => {
  const server = await ownServer();
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, bridge } = scene;
  bridge.kill('SIGSTOP');
  await terminateStream(scene);
  await eventually(async () => { await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]); });
  const other = new Client({ connectionString: server.url() });
  await other.connect();
  await other.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.slotName]);
  await other.end();
  bridge.kill('SIGCONT');
  expect((await bridge.exited).code).toBe(1);
  expect(bridge.stderr).toContain('belongs to something else');
  expect(await db.query('SELECT slot_name, database FROM pg_replication_slots')).toEqual([{ slot_name: db.slotName, database: new URL(server.url()).pathname.slice(1) }]);
});

test('the publication goes while the bridge streams: it is not ready, and says why', async () => {
  const scene = await runningScene();
  const { db, bridge } = scene;
  await db.query('DROP PUBLICATION slackchat_bridge');
  await bridge.waitForLog(({ msg, reason }) => msg.startsWith(BROKE) && String(reason).includes('publication "slackchat_bridge" does not exist'));
  expect(await readiness(bridge)).toMatchObject({ status: 503, text: expect.stringContaining('does not exist') as string });
});

test('a table leaves the publication while the bridge streams: it is not ready; when it is back, every channel is announced', async () => {
  const scene = await runningScene();
  const { db, hook, bridge } = scene;
  await db.query('ALTER PUBLICATION slackchat_bridge DROP TABLE slackchat_message');
  await say(scene, 'not published');
  await terminateStream(scene);
  await bridge.waitForLog(({ msg, reason }) => msg.startsWith(BROKE) && String(reason).includes('public.slackchat_message is not in publication'));
  expect(await readiness(bridge)).toMatchObject({ status: 503, text: expect.stringContaining('slackchat_message') as string });
  expect((await runCommand(scene.env, ['setup'])).code).toBe(0);
  await bridge.waitReady();
  await say(scene, 'published');
  await hook.waitFor(({ body }) => body.message?.content === 'published');
  await waitConfirmed(db);
  expect(told(hook.notifications).sort()).toEqual(['message_created published', 'update_notification']);
});

test('a fault that stays is retried with growing pauses', async () => {
  const scene = await runningScene();
  const { db, chat, bridge } = scene;
  await db.query('ALTER TABLE slackchat_message RENAME COLUMN text TO body');
  await db.query('INSERT INTO slackchat_message ("timestamp", body, channel_id, user_id) VALUES (now(), $3, $1, $2)', [chat.channelId, chat.userIds[0], 'x']);
  const at: number[] = [];
  for (const index of [0, 1, 2, 3, 4, 5]) {
    await bridge.waitForLog((line) => bridge.logs.filter(({ msg }) => msg.startsWith(BROKE)).indexOf(line) === index);
    at.push(performance.now());
  }
  // The fifth pause; the first one is a tenth of a second.
  expect((at[5] ?? 0) - (at[4] ?? 0)).toBeGreaterThan(1_000);
});
