import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { expectInOrder, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';
import { startReceiver } from '../support/receiver.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

async function waiting({ db }: Scene): Promise<readonly Record<string, unknown>[]> {
  return db.query("SELECT lane, status, attempts, last_status, last_error, body::json ->> 'update_type' AS kind FROM slackchat_bridge.deliveries ORDER BY commit_lsn, seq");
}

test('what fails is parked with its reason, later ones of its message wait behind it, others go on; then all arrive in order', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '400' } });
  const { db, hook } = scene;
  let refusing = true;
  hook.respond = ({ body }) => ({ status: refusing && body.message?.content?.startsWith('poison') === true ? 500 : 200 });
  const id = await say(scene, 'poison 1');
  await eventually(async () => expect(await waiting(scene)).toHaveLength(1));
  await db.query("UPDATE slackchat_message SET text = 'poison 2' WHERE id = $1", [id]);
  await say(scene, 'healthy');
  await hook.waitFor(({ body }) => body.message?.content === 'healthy');
  await waitConfirmed(db);
  expect(await waiting(scene)).toEqual([
    { lane: `message:${id}`, status: 'waiting', attempts: expect.any(Number) as number, last_status: 500, last_error: 'the endpoint answered 500', kind: 'message_created' },
    { lane: `message:${id}`, status: 'waiting', attempts: 0, last_status: null, last_error: null, kind: 'message_changed' },
  ]);
  refusing = false;
  await hook.waitFor(({ body }) => body.message?.content === 'poison 2');
  const poison = hook.notifications.filter(({ body }) => body.message?.content?.startsWith('poison') === true);
  expect(new Set(poison.slice(0, -1).map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  await eventually(async () => expect(await waiting(scene)).toEqual([]));
  // Direct again: a new one leaves no row behind.
  await say(scene, 'afterwards');
  await hook.waitFor(({ body }) => body.message?.content === 'afterwards');
});

test('nothing is written for what succeeds at first', async () => {
  const scene = await runningScene();
  const { db, hook } = scene;
  for (const index of Array.from({ length: 20 }).keys()) await say(scene, String(index));
  await hook.waitForNotifications(20);
  await waitConfirmed(db);
  const [{ last } = {}] = await db.query<{ last: boolean }>("SELECT is_called AS last FROM slackchat_bridge.deliveries_id_seq");
  expect(last).toBe(false);
});

test('a dead endpoint holds nothing up for a healthy one, nor the slot, and gets everything in order when it is back', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '100', RETRY_MAX_MS: '200' } });
  const { db, hook, register } = scene;
  const dead = await startReceiver();
  onTestFinished(async () => dead.close());
  await register(dead.url);
  await dead.stopListening();
  const ids = [await say(scene, 'm0 v0'), await say(scene, 'm1 v0')];
  for (const version of [1, 2, 3]) {
    for (const [index, id] of ids.entries()) await db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [id, `m${index} v${version}`]);
  }
  await hook.waitForNotifications(8);
  await waitConfirmed(db);
  await dead.listenAgain();
  await eventually(async () => expect(await waiting(scene)).toEqual([]), { timeoutMs: 15_000 });
  for (const message of ['m0', 'm1']) {
    const about = dead.notifications.filter(({ body }) => body.message?.content?.startsWith(message) === true);
    expectInOrder(about, 4, `${message} v3`);
  }
});

test('an endpoint that hangs holds neither the slot nor the others up', async () => {
  const scene = await runningScene({ env: { REQUEST_TIMEOUT_MS: '60000' } });
  const { db, hook, register } = scene;
  const gate = closedGate();
  const hanging = await startReceiver({ respond: () => ({ status: 200, delayUntil: gate.opened }) });
  onTestFinished(async () => hanging.close());
  await register(hanging.url);
  await say(scene, 'a');
  await say(scene, 'b');
  await hook.waitForNotifications(2);
  await hanging.waitForNotifications(2);
  await waitConfirmed(db);
  expect(await waiting(scene)).toHaveLength(2);
  gate.open();
  await eventually(async () => expect(await waiting(scene)).toEqual([]));
  expect(hanging.notifications).toHaveLength(2);
});

test('410 disables the endpoint, says so, and drops what waits', async () => {
  const scene = await runningScene();
  const { db, hook } = scene;
  hook.respond = () => ({ status: 410 });
  await say(scene, 'a');
  await say(scene, 'b');
  await eventually(async () => {
    const [row] = await db.query('SELECT enabled, disabled_reason FROM slackchat_bridge.webhooks');
    expect(row).toEqual({ enabled: false, disabled_reason: 'the endpoint answered 410 Gone' });
  });
  await waitConfirmed(db);
  expect(await waiting(scene)).toEqual([]);
  hook.respond = () => ({ status: 200 });
  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = true');
  await waitConfirmed(db);
  await say(scene, 'welcome back');
  await hook.waitFor(({ body }) => body.message?.content === 'welcome back');
});

test('Retry-After is heeded, and redirects are not followed', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '10' } });
  const { hook } = scene;
  hook.respond = (_request, attempt) => (attempt === 1 ? { status: 503, headers: { 'retry-after': '1' } } : { status: 200 });
  await say(scene, 'later');
  const [first, second] = await hook.waitForNotifications(2);
  expect((second?.receivedAt ?? 0) - (first?.receivedAt ?? 0)).toBeGreaterThan(990);
  hook.respond = (_request, attempt) => (attempt === 1 ? { status: 307, headers: { location: `${hook.url}/elsewhere` } } : { status: 200 });
  await say(scene, 'moved');
  await hook.waitForNotifications(4);
  expect(hook.requests.map(({ path }) => path)).not.toContain('/hook/elsewhere');
});

test('what fails for too long is dead, its lane goes on; retry, retry_all and purge work by SQL', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '10', RETRY_MAX_MS: '50', RETRY_MAX_AGE_MS: '150' } });
  const { db, hook, webhookId } = scene;
  const dead = async (): Promise<number> => (await waiting(scene)).filter(({ status }) => status === 'dead').length;
  let refusing = true;
  hook.respond = ({ body }) => ({ status: refusing && body.update_type === 'message_created' ? 500 : 200 });
  const id = await say(scene, 'doomed');
  await db.query("UPDATE slackchat_message SET text = 'after' WHERE id = $1", [id]);
  await hook.waitFor(({ body }) => body.update_type === 'message_changed');
  await eventually(async () => expect(await dead()).toBe(1));
  refusing = false;
  hook.clear();
  await db.query("SELECT slackchat_bridge.retry(id) FROM slackchat_bridge.deliveries WHERE status = 'dead'");
  await hook.waitFor(({ body }) => body.message?.content === 'doomed');
  await eventually(async () => expect(await waiting(scene)).toEqual([]));

  refusing = true;
  await say(scene, 'again 1');
  await say(scene, 'again 2');
  await eventually(async () => expect(await dead()).toBe(2));
  refusing = false;
  hook.clear();
  expect(await db.query('SELECT slackchat_bridge.retry_all($1) AS n', [webhookId])).toEqual([{ n: '2' }]);
  await hook.waitForNotifications(2);
  await eventually(async () => expect(await waiting(scene)).toEqual([]));

  refusing = true;
  await say(scene, 'purged');
  await eventually(async () => expect(await dead()).toBe(1));
  expect(await db.query("SELECT slackchat_bridge.purge('1 day') AS n")).toEqual([{ n: '0' }]);
  expect(await db.query("SELECT slackchat_bridge.purge('0 s') AS n")).toEqual([{ n: '1' }]);
  await expect(db.query('SELECT slackchat_bridge.retry(4711)')).rejects.toThrow('there is no delivery 4711');
});

test('ordering = channel keeps the order of all messages of a channel', async () => {
  const scene = await runningScene();
  const { hook } = scene;
  await scene.db.query("UPDATE slackchat_bridge.webhooks SET ordering = 'channel'");
  await waitConfirmed(scene.db);
  hook.respond = (request, attempt) => ({ status: attempt === 1 && request.body.message?.content === '3' ? 500 : 200 });
  const texts = Array.from({ length: 10 }, (_item, index) => String(index));
  for (const text of texts) await say(scene, text);
  await hook.waitFor(({ body }) => body.message?.content === '9');
  expect(told(hook.notifications)).toEqual(texts.map((text) => `message_created ${text}`));
  expect(hook.peakInFlight).toBe(1);
});

test('max_in_flight is never exceeded', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  await db.query('UPDATE slackchat_bridge.webhooks SET max_in_flight = 3');
  await waitConfirmed(db);
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await db.query(`INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT now() + i * interval '1 s', i::text, $1, $2 FROM generate_series(1, 50) i`, [chat.channelId, chat.userIds[0]]);
  await hook.waitForNotifications(3);
  gate.open();
  await hook.waitForNotifications(50);
  expect(hook.peakInFlight).toBe(3);
});

test.each([
  ['breaks the connection', { status: 200, destroy: true }],
  ['answers without end', { status: 500, body: 'x'.repeat(1024 * 1024) }],
])('a receiver that %s is tried again', async (_what, answer) => {
  const scene = await runningScene();
  scene.hook.respond = (_request, attempt) => (attempt === 1 ? answer : { status: 200 });
  await say(scene, 'a');
  await scene.hook.waitForNotifications(2);
  await eventually(async () => expect(await waiting(scene)).toEqual([]));
});

test('request_update and resync ask for update notifications by SQL, with the transaction or not at all', async () => {
  const scene = await runningScene();
  const { db, chat, hook, register, webhookId } = scene;
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  await register(other.url);
  const client = await db.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT slackchat_bridge.request_update($1::uuid)', [chat.channelId]);
  await client.query('ROLLBACK');
  client.release();
  await db.query('SELECT slackchat_bridge.request_update($1)', [chat.channelId.replaceAll('-', '')]);
  await waitConfirmed(db);
  const notification = { token: 'test-token', type: 'update_notification', channel: chat.channelId, chat_type: 'default' };
  expect(hook.notifications.map(({ body }) => body)).toEqual([notification]);
  expect(other.notifications).toHaveLength(1);
  await db.query('SELECT slackchat_bridge.resync($1)', [webhookId]);
  await waitConfirmed(db);
  expect(hook.notifications.map(({ body }) => body)).toEqual([notification, notification]);
  expect(other.notifications).toHaveLength(1);
  await expect(db.query("SELECT slackchat_bridge.request_update('00000000-0000-0000-0000-000000000000')")).rejects.toThrow('there is no channel');
});
