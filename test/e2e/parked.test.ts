import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Term } from '../../src/store/term.js';
import type { ParkedDelivery } from '../../src/store/parked-rows.js';
import { ParkedStore } from '../../src/store/parked.js';
import { insertMessage } from '../support/chat.js';
import { createDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { createScene, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const edit = async ({ db }: Scene, id: number, text: string): Promise<unknown> => db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [id, text]);
const many = async ({ db, chat }: Scene, total: number): Promise<unknown> => db.query(
  `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT now() + i * interval '1 s', i::text, $1, $2 FROM generate_series(1, $3::int) i`,
  [chat.channelId, chat.userIds[0], total],
);

async function count({ db }: Scene, status = 'waiting'): Promise<number> {
  const [row] = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM slackchat_bridge.deliveries WHERE status = $1', [status]);
  return row?.n ?? -1;
}

const waitForCount = async (scene: Scene, n: number, status = 'waiting'): Promise<void> => eventually(async () => expect(await count(scene, status)).toBe(n));
const waitForEnabled = async ({ db }: Scene, enabled: boolean): Promise<void> =>
  eventually(async () => expect(await db.query('SELECT enabled FROM slackchat_bridge.webhooks')).toEqual([{ enabled }]));

/** The bridge has looked, since then, when something is due, and found what is there now. */
async function waitLooked({ db }: Scene, work: () => Promise<unknown>): Promise<void> {
  const [now] = await db.query<{ now: string }>('SELECT clock_timestamp()::text AS now');
  await work();
  await eventually(async () => {
    const looked = await db.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slackchat-bridge' AND state = 'idle' AND query LIKE '%extract(epoch FROM d.next_attempt_at - now())%' AND query_start > $1::timestamptz",
      [now?.now],
    );
    expect(looked).not.toEqual([]);
  });
}

test('while the head of a lane waits after retry_all, the database is left in peace', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '20000' } });
  const { db, hook, webhookId } = scene;
  hook.respond = () => ({ status: 500 });
  const id = await say(scene, 'poison 1');
  await waitForCount(scene, 1);
  await edit(scene, id, 'poison 2');
  await waitForCount(scene, 2);
  await db.query('SELECT slackchat_bridge.retry_all($1)', [webhookId]);
  await hook.waitForNotifications(2);
  await eventually(async () => expect(await db.query('SELECT attempts FROM slackchat_bridge.deliveries ORDER BY commit_lsn')).toEqual([{ attempts: 2 }, { attempts: 0 }]));
  const transactions = async (): Promise<number> => Number((await db.query<{ n: string }>('SELECT xact_commit AS n FROM pg_stat_database WHERE datname = current_database()'))[0]?.n);
  const before = await transactions();
  // By the server's clock; its statistics are up to a second old.
  await db.query('SELECT pg_sleep(3)');
  expect((await transactions()) - before).toBeLessThan(100);
});

test('probes go on although what came of earlier attempts was written late', async () => {
  const scene = await createScene({ env: { RETRY_BASE_MS: '100', RETRY_MAX_MS: '200' } });
  const { db, hook } = scene;
  await scene.start();
  await scene.register(hook.url, { max_in_flight: 8 });
  hook.respond = () => ({ status: 500 });
  await many(scene, 60);
  await waitForCount(scene, 60);
  // It works again for a while, then everything that is under way hangs.
  const gate = closedGate();
  let [passed, held] = [0, 0];
  hook.respond = () => {
    if (passed < 20) {
      passed += 1;
      return { status: 200 };
    }
    held += 1;
    return { status: 200, delayUntil: gate.opened, destroy: true };
  };
  await eventually(() => expect(held).toBe(8));
  await waitForCount(scene, 40);
  const client = await db.pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('LOCK TABLE slackchat_bridge.deliveries IN SHARE MODE');
    hook.respond = () => ({ status: 500 });
    gate.open();
    await eventually(async () => {
      const blocked = await client.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slackchat-bridge' AND wait_event_type = 'Lock'");
      expect(blocked.rowCount).toBeGreaterThan(0);
    });
    // The time for the next probe goes by meanwhile.
    await client.query('SELECT pg_sleep(0.6)');
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  hook.respond = () => ({ status: 200 });
  await waitForCount(scene, 0);
});

test('what was parked behind one that is under way goes as soon as that one is done', async () => {
  const scene = await runningScene();
  const { db, hook, webhookId } = scene;
  const gate = closedGate();
  hook.respond = ({ body }) => (body.message?.content === 'v0' ? { status: 200, delayUntil: gate.opened } : { status: 200 });
  const id = await say(scene, 'v0');
  await hook.waitForNotifications(1);
  await edit(scene, id, 'v1');
  await say(scene, 'other');
  await hook.waitFor(({ body }) => body.message?.content === 'other');
  await waitLooked(scene, async () => {
    await db.query('SELECT slackchat_bridge.retry_all($1)', [webhookId]);
    await eventually(async () => expect(await db.query("SELECT FROM slackchat_bridge.deliveries WHERE body LIKE '%v1%'")).toHaveLength(1));
  });
  expect(told(hook.notifications)).toEqual(['message_created v0', 'message_created other']);
  gate.open();
  await hook.waitFor(({ body }) => body.message?.content === 'v1', { timeoutMs: 5_000 });
  await waitForCount(scene, 0);
});

test('an endpoint that was gone and is enabled again gets what comes, and its retries', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '300', RETRY_MAX_MS: '600' } });
  const { db, hook } = scene;
  hook.respond = () => ({ status: 500 });
  for (const text of ['a', 'b', 'c', 'd']) await say(scene, text);
  await waitForCount(scene, 4);
  // All four are brought back and under way when the first 410 comes.
  const gate = closedGate();
  let held = 0;
  hook.respond = () => {
    held += 1;
    return { status: 410, delayUntil: gate.opened };
  };
  await eventually(() => expect(held).toBe(4));
  gate.open();
  await waitForEnabled(scene, false);
  await waitForCount(scene, 0);
  hook.clear();
  hook.respond = ({ body }, attempt) => ({ status: body.message?.content === 'retried' && attempt === 1 ? 500 : 200 });
  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = true, max_in_flight = 2');
  await waitConfirmed(db);
  await say(scene, 'direct');
  await say(scene, 'retried');
  await hook.waitFor(({ body, attempt }) => body.message?.content === 'retried' && attempt === 2);
  await waitForCount(scene, 0);
  expect(told(hook.notifications)).toEqual(['message_created direct', 'message_created retried']);
});

test('what waits behind a row that is deleted by hand is sent', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '500', RETRY_MAX_MS: '500' } });
  const { db, hook } = scene;
  hook.respond = ({ body }) => ({ status: body.message?.content === 'poison' ? 400 : 200 });
  const id = await say(scene, 'poison');
  await waitForCount(scene, 1);
  await edit(scene, id, 'fine');
  await waitForCount(scene, 2);
  await db.query("DELETE FROM slackchat_bridge.deliveries WHERE body LIKE '%poison%'");
  await hook.waitFor(({ body }) => body.message?.content === 'fine', { timeoutMs: 5_000 });
  await waitForCount(scene, 0);
});

test('one request of a lane at a time, also when a dead delivery of it is retried', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '10', RETRY_MAX_MS: '50', RETRY_MAX_AGE_MS: '150' } });
  const { db, hook } = scene;
  hook.respond = ({ body }) => ({ status: body.message?.content === 'one' ? 500 : 200 });
  const id = await say(scene, 'one');
  await waitForCount(scene, 1, 'dead');
  const gate = closedGate();
  hook.respond = ({ body }, attempt) => {
    if (body.message?.content === 'two' && attempt === 1) return { status: 500 };
    return body.message?.content === 'sentinel' ? { status: 200 } : { status: 200, delayUntil: gate.opened };
  };
  await edit(scene, id, 'two');
  await hook.waitFor(({ body, attempt }) => body.message?.content === 'two' && attempt === 2);
  hook.clear();
  await waitLooked(scene, async () => db.query("SELECT slackchat_bridge.retry(id) FROM slackchat_bridge.deliveries WHERE status = 'dead'"));
  await say(scene, 'sentinel');
  await hook.waitFor(({ body }) => body.message?.content === 'sentinel');
  expect(told(hook.notifications)).toEqual(['message_created sentinel']);
  gate.open();
  await hook.waitFor(({ body }) => body.message?.content === 'one');
  await waitForCount(scene, 0);
});

test('a new max_in_flight lets finish what is under way, and sends nothing twice', async () => {
  const scene = await runningScene();
  const { db, hook } = scene;
  const gate = closedGate();
  hook.respond = ({ body }, attempt) => (attempt === 1 && body.message?.content !== 'sentinel' ? { status: 200, delayUntil: gate.opened } : { status: 200 });
  await many(scene, 20);
  await hook.waitForNotifications(20);
  await db.query('UPDATE slackchat_bridge.webhooks SET max_in_flight = 32');
  await say(scene, 'sentinel');
  await hook.waitFor(({ body }) => body.message?.content === 'sentinel');
  gate.open();
  await waitConfirmed(db);
  await waitForCount(scene, 0);
  expect(hook.notifications).toHaveLength(21);
});

test('five messages that are refused again and again hold up nobody else', async () => {
  const scene = await runningScene();
  const { hook } = scene;
  hook.respond = ({ body }) => ({ status: body.message?.content?.startsWith('poison') === true ? 422 : 200 });
  for (const index of [0, 1, 2, 3, 4]) await say(scene, `poison ${index}`);
  // Pauses that doubled with each of them would have grown to seconds.
  await hook.waitForNotifications(15, { timeoutMs: 15_000 });
  const before = performance.now();
  await say(scene, 'healthy');
  const [got] = await hook.waitFor(({ body }) => body.message?.content === 'healthy');
  expect((got?.receivedAt ?? 0) - before).toBeLessThan(2_000);
});

test('what is under way at a 410 and fails afterwards leaves no row', async () => {
  const scene = await runningScene();
  const { db, hook, bridge } = scene;
  const gate = closedGate();
  hook.respond = ({ body }) => (body.message?.content === 'a' ? { status: 500, delayUntil: gate.opened } : { status: 410 });
  await say(scene, 'a');
  await hook.waitForNotifications(1);
  await say(scene, 'b');
  await waitForEnabled(scene, false);
  gate.open();
  await bridge.waitForLog(({ msg, status }) => msg === 'attempt failed' && status === 500);
  // It is settled, one way or the other.
  await waitConfirmed(db);
  expect(await count(scene)).toBe(0);
});

test('a 410 that cannot be noted at first is noted later, and nothing is sent there meanwhile', async () => {
  const scene = await runningScene();
  const { db, hook, bridge } = scene;
  hook.respond = () => ({ status: 410 });
  await db.query('ALTER TABLE slackchat_bridge.webhooks ADD CONSTRAINT not_now CHECK (enabled)');
  await say(scene, 'a');
  await bridge.waitForLog(({ reason }) => String(reason).includes('not_now'));
  hook.respond = () => ({ status: 200 });
  await say(scene, 'b');
  await db.query('ALTER TABLE slackchat_bridge.webhooks DROP CONSTRAINT not_now');
  await eventually(async () => {
    expect(await db.query('SELECT enabled, disabled_reason FROM slackchat_bridge.webhooks')).toEqual([{ enabled: false, disabled_reason: 'the endpoint answered 410 Gone' }]);
  });
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created a']);
  expect(await count(scene)).toBe(0);
});

test('what waits at a 410 that could not be noted yet is for who saves the row: all of it is sent', async () => {
  const scene = await runningScene();
  const { db, hook, bridge } = scene;
  hook.respond = () => ({ status: 410 });
  await db.query('ALTER TABLE slackchat_bridge.webhooks ADD CONSTRAINT not_now CHECK (enabled)');
  await say(scene, 'a');
  await bridge.waitForLog(({ reason }) => String(reason).includes('not_now'));
  await say(scene, 'b');
  await waitConfirmed(db);
  hook.respond = () => ({ status: 200 });
  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = true');
  // The one that was answered so too.
  await eventually(() => expect(hook.notifications.map(({ body }) => body.message?.content).toSorted()).toEqual(['a', 'a', 'b']));
  await waitForCount(scene, 0);
});

test('a dead delivery that comes again from the stream does not leave what follows it without a time', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.query('CREATE SCHEMA slackchat_bridge');
  for (const name of ['0001_webhooks_and_deliveries', '0004_conflation', '0006_replay']) await db.query(await readFile(join(import.meta.dirname, `../../sql/migrations/${name}.sql`), 'utf8'));
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1/')");
  const term = new Term(db.pool, 'slot');
  await term.take();
  const store = new ParkedStore(db.pool, term, () => ({ from: 0n, to: 0n }));
  const row = (notificationId: string, lsn: bigint): ParkedDelivery => ({
    notificationId, lane: 'l', lsn, seq: 0, channelId: 'c', body: '{}', attempts: 0, firstAttemptAt: null, lastStatus: null, lastError: null, nextAttemptAt: null, dead: false,
    messageId: null, updateType: null, repeated: false, replay: false, begun: false,
  });
  await store.park('1', [row('n1', 1n)]);
  await store.finish('1', [{ kind: 'dead', notificationId: 'n1', lane: 'l', status: 500, reason: 'x', attempts: 1, nextAttemptAt: 0 }]);
  await store.park('1', [row('n1', 1n), row('n2', 2n)]);
  expect(await db.query('SELECT notification_id, status, next_attempt_at IS NOT NULL AS timed FROM slackchat_bridge.deliveries ORDER BY 1')).toEqual([
    { notification_id: 'n1', status: 'dead', timed: false },
    { notification_id: 'n2', status: 'waiting', timed: true },
  ]);
});
