import { expect, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { createScene, expectInOrder, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

test('two commits back to back, the first confirmed, then kill -9: the second arrives after the restart', async () => {
  const scene = await runningScene();
  const { db, hook, bridge, start } = scene;
  const gate = closedGate();
  hook.respond = ({ body }) => (body.message?.content === 'second' ? { status: 200, delayUntil: gate.opened } : { status: 200 });
  await say(scene, 'first');
  await say(scene, 'second');
  await hook.waitFor(({ body }) => body.message?.content === 'second');
  await bridge.stop('SIGKILL');
  const before = hook.notifications.find(({ body }) => body.message?.content === 'second');
  gate.open();
  hook.clear();
  await start();
  const [again] = await hook.waitFor(({ body }) => body.message?.content === 'second');
  expect(again?.headers['webhook-id']).toBe(before?.headers['webhook-id']);
  expect(again?.rawBody).toBe(before?.rawBody);
  await waitConfirmed(db);
});

test('kill -9 again and again in the middle of traffic: nothing is lost, and repeats carry the same webhook-id', async () => {
  const scene = await runningScene();
  const { db, chat, hook, start } = scene;
  let { bridge } = scene;
  const total = 300;
  let written = 0;
  const writing = (async () => {
    for (; written < total; written += 1) await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: String(written) });
  })();
  for (const mark of [40, 110, 200]) {
    await hook.waitFor(() => true, { count: mark });
    await bridge.stop('SIGKILL');
    bridge = await start();
  }
  await writing;
  await eventually(async () => expect(new Set(told(hook.notifications)).size).toBe(total), { timeoutMs: 20_000 });
  const idOf = new Map<string, string>();
  for (const { headers, body } of hook.notifications) {
    const content = body.message?.content ?? '';
    const id = String(headers['webhook-id']);
    expect(idOf.get(content) ?? id).toBe(id);
    idOf.set(content, id);
  }
  expect(new Set(idOf.values()).size).toBe(total);
});

test('SIGTERM delivers what is in memory, confirms it and ends with status 0: nothing is sent twice', async () => {
  const scene = await runningScene();
  const { db, hook, bridge, start } = scene;
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say(scene, 'a');
  await say(scene, 'b');
  await hook.waitForNotifications(2);
  bridge.kill('SIGTERM');
  await bridge.waitForLog(({ msg }) => msg === 'stopping');
  gate.open();
  expect(await bridge.exited).toEqual({ code: 0, signal: null });
  await start();
  await say(scene, 'c');
  await hook.waitFor(({ body }) => body.message?.content === 'c');
  await waitConfirmed(db);
  expect(hook.notifications).toHaveLength(3);
});

test('a stop parks what a hanging endpoint did not answer; the next start delivers it with the same webhook-id', async () => {
  const scene = await runningScene({ env: { SHUTDOWN_TIMEOUT_MS: '1000' } });
  const { db, hook, bridge, start } = scene;
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say(scene, 'a');
  const [first] = await hook.waitForNotifications(1);
  expect(await bridge.stop()).toEqual({ code: 0, signal: null });
  expect(await db.query('SELECT status FROM slackchat_bridge.deliveries')).toEqual([{ status: 'waiting' }]);
  gate.open();
  hook.clear();
  hook.respond = () => ({ status: 200 });
  await db.query('UPDATE slackchat_bridge.deliveries SET next_attempt_at = now()');
  await start();
  const [again] = await hook.waitForNotifications(1);
  expect(again?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]));
});

test('parked deliveries keep their order through a kill -9', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '200', RETRY_MAX_MS: '200' } });
  const { db, hook, bridge, start } = scene;
  hook.respond = () => ({ status: 500 });
  const id = await say(scene, 'v0');
  for (const version of [1, 2, 3]) await db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [id, `v${version}`]);
  await waitConfirmed(db);
  expect(await db.query('SELECT count(*)::int AS n FROM slackchat_bridge.deliveries')).toEqual([{ n: 4 }]);
  await bridge.stop('SIGKILL');
  hook.clear();
  hook.respond = () => ({ status: 200 });
  await start();
  await db.query("UPDATE slackchat_message SET text = 'v4' WHERE id = $1", [id]);
  await hook.waitFor(({ body }) => body.message?.content === 'v4');
  expectInOrder(hook.notifications, 5, 'v4');
});

test('what was committed while the bridge was down arrives when it starts', async () => {
  const scene = await createScene();
  const { db, hook, start, register } = scene;
  const bridge = await start();
  await register(hook.url);
  expect((await bridge.stop()).code).toBe(0);
  const id = await say(scene, 'while down');
  await db.query('DELETE FROM slackchat_message WHERE id = $1', [id]);
  await start();
  await hook.waitForNotifications(2);
  expect(told(hook.notifications)).toEqual(['message_created while down', 'message_deleted while down']);
});

test('a second instance stands by, and takes over within five seconds of a kill -9', async () => {
  const scene = await runningScene();
  const { hook, bridge, start } = scene;
  const standby = await start();
  await standby.waitForLog(({ msg }) => msg.startsWith('standing by'));
  await say(scene, 'a');
  await hook.waitForNotifications(1);
  await bridge.stop('SIGKILL');
  const killedAt = performance.now();
  await say(scene, 'b');
  const [got] = await hook.waitFor(({ body }) => body.message?.content === 'b');
  expect((got?.receivedAt ?? 0) - killedAt).toBeLessThan(5_000);
});

test('an instance that led, stood by and leads again loses nothing', async () => {
  const scene = await runningScene();
  const { db, hook, bridge: first, start } = scene;
  const second = await start();
  await second.waitForLog(({ msg }) => msg.startsWith('standing by'));
  // The first one hangs and loses the slot; when it goes on, the second leads.
  first.kill('SIGSTOP');
  await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [db.slotName]);
  await second.waitForLog(({ msg }) => msg === 'streaming');
  first.kill('SIGCONT');
  await first.waitForLog(({ msg }) => msg.startsWith('standing by'));
  second.kill('SIGSTOP');
  const texts = Array.from({ length: 20 }, (_item, index) => `while nobody listens ${index}`);
  for (const text of texts) await say(scene, text);
  await second.stop('SIGKILL');
  await waitConfirmed(db);
  expect(told(hook.notifications).sort()).toEqual(texts.map((text) => `message_created ${text}`).sort());
});
