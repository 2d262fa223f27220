import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { createScene, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';
import { startBridge, type BridgeProcess } from '../support/process.js';
import { startReceiver } from '../support/receiver.js';
import { startProxy } from '../support/tcp-proxy.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

test('a receiver slower than wal_sender_timeout neither breaks the stream nor gets anything twice', async () => {
  const server = await startPostgres({ settings: { wal_sender_timeout: '1s' } });
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, hook, bridge } = scene;
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say(scene, 'slow');
  await hook.waitForNotifications(1);
  // Three times the timeout, by the server's clock; a broken stream would show another walsender.
  const walsender = async (): Promise<unknown> => (await db.query("SELECT pid FROM pg_stat_replication"))[0];
  const before = await walsender();
  await db.query('SELECT pg_sleep(3.2)');
  expect(await walsender()).toEqual(before);
  gate.open();
  await say(scene, 'next');
  await hook.waitFor(({ body }) => body.message?.content === 'next');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created slow', 'message_created next']);
  expect(hook.notifications).toHaveLength(2);
  expect(bridge.logs.filter(({ msg }) => msg.startsWith('the replication stream broke'))).toEqual([]);
});

test('a terminated walsender: the stream is begun again, nothing is lost and nothing sent twice', async () => {
  const scene = await runningScene();
  const { db, hook } = scene;
  for (const index of [0, 1, 2, 3, 4]) {
    await say(scene, String(index));
    await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active', [db.slotName]);
  }
  await hook.waitFor(({ body }) => body.message?.content === '4');
  await waitConfirmed(db);
  expect(told(hook.notifications).sort()).toEqual([0, 1, 2, 3, 4].map((index) => `message_created ${index}`));
  expect(hook.notifications).toHaveLength(5);
});

test('terminated sessions of the pool are replaced', async () => {
  const scene = await runningScene();
  const { db, hook } = scene;
  await db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slackchat-bridge' AND backend_type = 'client backend'");
  const id = await say(scene, 'a');
  await db.query("UPDATE slackchat_message SET text = 'b' WHERE id = $1", [id]);
  await hook.waitFor(({ body }) => body.message?.content === 'b');
});

test.each(['fast', 'immediate'] as const)('a %s restart of the server is survived, and a fast one not held up', async (mode) => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url() });
  const { hook, bridge } = scene;
  const gate = closedGate();
  // Something unconfirmed must not keep the server from stopping.
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say(scene, 'before');
  await hook.waitForNotifications(1);
  await server.stop(mode);
  gate.open();
  await server.start();
  await bridge.waitForLog(({ msg, fresh }) => msg === 'streaming' && fresh === false);
  await say(scene, 'after');
  await hook.waitFor(({ body }) => body.message?.content === 'after');
  await waitConfirmed(scene.db);
  expect(hook.notifications).toHaveLength(2);
});

test('a fast shutdown is not held up by a bridge whose memory is full, so that it reads no more', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url(), env: { MAX_BUFFER_MB: '8' } });
  const { db, chat, hook } = scene;
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  // More than memory and the network between take.
  await db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id)
     SELECT '2020-01-01'::timestamptz + i * interval '1 ms', repeat('long ', 20000), $1, $2 FROM generate_series(1, 200) i`,
    [chat.channelId, chat.userIds[0]],
  );
  await hook.waitForNotifications(1);
  await server.stop('fast');
  gate.open();
  await server.start();
  await hook.waitFor(({ body }) => body.update_type === 'message_created', { count: 200, timeoutMs: 45_000 });
  await waitConfirmed(db);
  expect(new Set(hook.notifications.map(({ headers }) => headers['webhook-id'])).size).toBe(200);
}, 90_000);

test('a fast shutdown is not held up by a bridge that works off a large backlog, nor by one that cannot park', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url(), env: { RETRY_BASE_MS: '100', RETRY_MAX_MS: '200' } });
  const { db, chat, hook, bridge } = scene;
  const many = async (text: string): Promise<unknown> => db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT clock_timestamp() + i * interval '1 ms', $3 || i, $1, $2 FROM generate_series(1, 2000) i`,
    [chat.channelId, chat.userIds[0], text],
  );
  const rows = async (): Promise<number> => (await db.query('SELECT FROM slackchat_bridge.deliveries')).length;
  const leads = (): ReturnType<BridgeProcess['waitForLog']> => {
    const before = new Set(bridge.logs);
    return bridge.waitForLog((line) => line.msg === 'streaming' && !before.has(line), 30_000);
  };
  const heldUp = async (): Promise<number> => {
    const began = performance.now();
    await server.stop('fast');
    return performance.now() - began;
  };
  hook.respond = () => ({ status: 500 });
  await many('parked ');
  await eventually(async () => expect(await rows()).toBe(2_000), { timeoutMs: 20_000 });
  hook.clear();
  hook.respond = () => ({ status: 200, delayUntil: sleep(5) });
  await hook.waitForNotifications(100, { timeoutMs: 20_000 });
  expect(await heldUp()).toBeLessThan(10_000);
  let streaming = leads();
  await server.start();
  await streaming;
  await eventually(async () => expect(await rows()).toBe(0), { timeoutMs: 30_000 });

  // What fails now cannot be written down, so it is not confirmed.
  await db.query("ALTER TABLE slackchat_bridge.deliveries ADD CONSTRAINT not_now CHECK (webhook_id IS NULL)");
  hook.respond = () => ({ status: 500 });
  await many('never parked ');
  await bridge.waitForLog(({ reason }) => String(reason).includes('not_now'));
  expect(await heldUp()).toBeLessThan(10_000);
  streaming = leads();
  await server.start();
  await streaming;
  await db.query('ALTER TABLE slackchat_bridge.deliveries DROP CONSTRAINT not_now');
  hook.clear();
  hook.respond = () => ({ status: 200 });
  await hook.waitFor(({ body }) => body.message?.content?.startsWith('never parked') === true, { count: 2_000, timeoutMs: 40_000 });
  await waitConfirmed(db);
}, 120_000);

test('a connection that goes silent is noticed, and begun again', async () => {
  const server = await startPostgres({ settings: { wal_sender_timeout: '2s' } });
  onTestFinished(async () => server.dispose());
  const scene = await createScene({ serverUrl: server.url() });
  const proxy = await startProxy(server.port);
  onTestFinished(async () => proxy.close());
  const bridge = await scene.start({ DATABASE_URL: scene.db.urlVia(proxy.port) });
  await scene.register(scene.hook.url);
  proxy.blackhole(true);
  await bridge.waitForLog(({ msg, reason }) => msg.startsWith('the replication stream broke') && String(reason).includes('silent'));
  expect((await fetch(`${await bridge.adminUrl()}/readyz`)).status).toBe(503);
  proxy.blackhole(false);
  proxy.cut();
  await say(scene, 'after');
  await scene.hook.waitFor(({ body }) => body.message?.content === 'after');
  await eventually(async () => expect((await fetch(`${await bridge.adminUrl()}/readyz`)).status).toBe(200));
});

test('a large transaction arrives whole and in order, with less memory than it has bytes', async () => {
  const scene = await runningScene({ env: { MAX_BUFFER_MB: '8' } });
  const { db, chat, hook } = scene;
  await db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id)
     SELECT '2020-01-01'::timestamptz + i * interval '1 ms', i || repeat(' long', 1000), $1, $2 FROM generate_series(1, 4000) i`,
    [chat.channelId, chat.userIds[0]],
  );
  await hook.waitForNotifications(4000, { timeoutMs: 80_000 });
  await waitConfirmed(db);
  expect(new Set(hook.notifications.map(({ headers }) => headers['webhook-id'])).size).toBe(4000);
  expect(hook.notifications.every(({ body }) => body.update_type === 'message_created')).toBe(true);
}, 90_000);

test('a lost slot is made anew, and every channel is announced; with ON_SLOT_LOST=stop it ends with a clear message', async () => {
  const scene = await runningScene();
  const { db, chat, hook, bridge } = scene;
  expect((await bridge.stop()).code).toBe(0);
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  await say(scene, 'unseen');
  hook.clear();
  const stopping = startBridge({ ...scene.env, ON_SLOT_LOST: 'stop' }, ['run']);
  expect((await stopping.exited).code).toBe(1);
  expect(stopping.stderr).toContain('ON_SLOT_LOST');
  const resyncing = startBridge(scene.env, ['run']);
  await resyncing.waitReady();
  const [got] = await hook.waitForNotifications(1);
  expect(got?.body).toEqual({ token: 'test-token', type: 'update_notification', channel: chat.channelId, chat_type: 'default' });
});

test('a commit that waits for a synchronous standby is neither told, nor read around, nor acted on before it is visible', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, hook } = scene;
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  const standby = async (name: string): Promise<void> => {
    await db.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
    await db.query('SELECT pg_reload_conf()');
    await eventually(async () => expect(await db.query('SHOW synchronous_standby_names')).toEqual([{ synchronous_standby_names: name }]));
  };
  const id = await say(scene, 'old');
  await hook.waitForNotifications(1);
  hook.clear();
  await standby('nobody');
  const said = say(scene, 'not visible yet');
  const changed = db.query("UPDATE slackchat_message SET text = 'new' WHERE id = $1", [id]);
  // Of the message that it belongs to only a read can tell.
  const reacted = insertReaction(db.pool, { messageId: id, userId: scene.chat.userIds[1], reaction: 'eyes' });
  const registered = db.query('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1)', [other.url]);
  // All are in the WAL and streamed, and no commit has returned.
  await eventually(async () => {
    const [row] = await db.query<{ n: number; sent: boolean }>(
      "SELECT (SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep') AS n, (SELECT bool_and(sent_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication) AS sent",
    );
    expect(row).toEqual({ n: 4, sent: true });
  });
  // The bridge has them, and asks again and again whether they are visible.
  const asked = new Set<string>();
  await eventually(async () => {
    const rows = await db.query<{ at: string }>("SELECT query_start::text AS at FROM pg_stat_activity WHERE application_name = 'slackchat-bridge' AND query LIKE '%pg_current_snapshot%'");
    for (const { at } of rows) asked.add(at);
    expect(asked.size).toBeGreaterThan(3);
  });
  expect(hook.notifications).toEqual([]);
  expect(other.requests).toEqual([]);
  await standby('');
  await Promise.all([said, changed, reacted, registered]);
  await hook.waitForNotifications(3);
  // Never with the text or the reactions that others still saw meanwhile.
  const whole = { content: 'new', reactions: [{ reaction: 'eyes', user: 'U2' }] };
  const ofOld = hook.notifications.filter(({ body }) => body.message?.content !== 'not visible yet');
  expect(ofOld.map(({ body }) => [body.update_type, body.message])).toEqual([['message_changed', expect.objectContaining({ content: 'new' })], ['message_changed', expect.objectContaining({ content: 'new' })]]);
  expect(ofOld.at(-1)?.body.message).toMatchObject(whole);
  await other.waitFor(({ body }) => body.type === 'url_verification');
});
