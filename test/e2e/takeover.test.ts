import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import type { BridgeProcess, LogLine } from '../support/process.js';
import { createScene, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';
import { startProxy } from '../support/tcp-proxy.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

/** The next line of that kind, none of those that were written before. */
async function nextLog(bridge: BridgeProcess, begin: string): Promise<LogLine> {
  const before = new Set(bridge.logs);
  return bridge.waitForLog((line) => line.msg.startsWith(begin) && !before.has(line));
}

/** The slot is taken away from the instance that streams from it. */
async function freeSlot({ db }: Scene): Promise<void> {
  await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [db.slotName]);
  await slotIsFree(db);
}

async function slotIsFree(db: Scene['db']): Promise<void> {
  await eventually(async () => expect(await db.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [db.slotName])).toEqual([{ active: false }]));
}

test('a takeover whose first load fails is tried again with everything loaded: nothing is lost', async () => {
  const scene = await runningScene();
  const { db, hook, bridge: first } = scene;
  const second = await scene.start();
  await second.waitForLog(({ msg }) => msg.startsWith('standing by'));
  // What the second one reads before it leads is not there.
  await db.query('ALTER TABLE slackchat_user RENAME TO slackchat_user_away');
  await first.stop('SIGKILL');
  await second.waitForLog(({ msg, reason }) => msg.startsWith('the replication stream broke') && String(reason).includes('slackchat_user'));
  await db.query('ALTER TABLE slackchat_user_away RENAME TO slackchat_user');
  await second.waitForLog(({ msg }) => msg === 'streaming');
  await say(scene, 'after');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created after']);
});

test('another instance led while this one was frozen, and is gone: what was registered there is known here', async () => {
  const scene = await runningScene();
  const { db, hook, bridge: frozen } = scene;
  const other = await scene.start();
  await other.waitForLog(({ msg }) => msg.startsWith('standing by'));
  frozen.kill('SIGSTOP');
  await db.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1', [db.slotName]);
  await other.waitForLog(({ msg }) => msg === 'streaming');
  await scene.register(`http://127.0.0.1:${hook.port}/second`);
  await waitConfirmed(db);
  await other.stop('SIGKILL');
  await slotIsFree(db);
  const leadsAgain = nextLog(frozen, 'streaming');
  frozen.kill('SIGCONT');
  expect(await leadsAgain).toMatchObject({ fresh: true });
  await say(scene, 'for both');
  await waitConfirmed(db);
  expect(hook.notifications.map(({ path, body }) => `${path} ${body.message?.content ?? ''}`).sort()).toEqual(['/hook for both', '/second for both']);
});

test('a leader that hung, lost the slot and goes on sends and stores nothing of what it still holds: the last state stays the last', async () => {
  const scene = await runningScene();
  const { db, hook, bridge: frozen } = scene;
  await scene.register(`http://127.0.0.1:${hook.port}/second`);
  const other = await scene.start();
  await other.waitForLog(({ msg }) => msg.startsWith('standing by'));
  const later = closedGate();
  onTestFinished(() => later.open());
  const never = closedGate();
  onTestFinished(() => never.open());
  hook.respond = ({ path, body }) => ({ status: 200, ...(path === '/second' ? {} : { delayUntil: (body.message?.content === 'hangs' ? never : later).opened }) });
  const hanging = await say(scene, 'hangs');
  const id = await say(scene, 'old');
  await db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [id, 'newer']);
  // What one endpoint has of it, the other holds in memory.
  await hook.waitFor(({ path, body }) => path === '/second' && body.message?.content === 'newer');
  await hook.waitFor(({ path, body }) => path === '/hook' && body.message?.content === 'old');
  frozen.kill('SIGSTOP');
  hook.respond = () => ({ status: 200 });
  await freeSlot(scene);
  await other.waitForLog(({ msg }) => msg === 'streaming');
  await db.query('UPDATE slackchat_message SET text = $2 WHERE id = ANY ($1)', [[id, hanging], 'newest']);
  await waitConfirmed(db);
  // An answer for which the frozen one waits is there when it goes on, and what is under way for so long is parked then.
  later.open();
  await db.query('SELECT pg_sleep(2)');
  hook.clear();
  const standsBy = nextLog(frozen, 'standing by');
  frozen.kill('SIGCONT');
  await standsBy;
  await say(scene, 'at last');
  await hook.waitForNotifications(2);
  await waitConfirmed(db);
  expect(await db.query('SELECT lane, body FROM slackchat_bridge.deliveries')).toEqual([]);
  expect(hook.notifications.map(({ path, body }) => `${path} ${body.message?.content ?? ''}`).sort()).toEqual(['/hook at last', '/second at last']);
});

test('the slot was made anew by someone else while this one was frozen: every channel is announced, once', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, chat, hook, bridge: frozen } = scene;
  frozen.kill('SIGSTOP');
  await freeSlot(scene);
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  await say(scene, 'in the gap');
  // What another instance does that dies before it leads.
  await db.query("INSERT INTO slackchat_bridge.meta VALUES ('resync pending', 'now')");
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.slotName]);
  const leadsAgain = nextLog(frozen, 'streaming');
  frozen.kill('SIGCONT');
  await leadsAgain;
  await say(scene, 'after');
  await waitConfirmed(db);
  expect(told(hook.notifications).sort()).toEqual(['message_created after', 'update_notification']);
  expect(hook.notifications.find(({ body }) => body.type === 'update_notification')?.body.channel).toBe(chat.channelId);
  expect(await db.query("SELECT FROM slackchat_bridge.meta WHERE key = 'resync pending'")).toEqual([]);
});

test('its own dead session cannot be ended: the bridge goes on trying, and streams once that one is gone', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const scene = await createScene({ serverUrl: server.url() });
  const { db, hook } = scene;
  const proxy = await startProxy(server.port);
  onTestFinished(async () => proxy.close());
  await db.query("CREATE ROLE bridge LOGIN REPLICATION SUPERUSER PASSWORD 'x'");
  const url = new URL(db.urlVia(proxy.port));
  url.username = 'bridge';
  url.password = 'x';
  const bridge = await scene.start({ DATABASE_URL: url.href });
  await scene.register(hook.url);
  // Refused, which stands for any fault of the pool at that moment.
  await db.query('ALTER ROLE bridge NOSUPERUSER');
  await db.query('GRANT ALL ON ALL TABLES IN SCHEMA public TO bridge');
  await db.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend FROM PUBLIC');
  const [slot] = await db.query<{ pid: number }>('SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1', [db.slotName]);
  const walsender = slot?.pid ?? 0;
  expect(walsender).toBeGreaterThan(0);
  process.kill(walsender, 'SIGSTOP');
  try {
    proxy.cut();
    await bridge.waitForLog(({ msg, reason }) => msg.startsWith('the replication stream broke') && String(reason).includes('permission denied'));
  } finally {
    process.kill(walsender, 'SIGCONT');
  }
  await nextLog(bridge, 'streaming');
  await say(scene, 'after');
  await hook.waitFor(({ body }) => body.message?.content === 'after');
});

test('parked deliveries are retried by the one that streams alone, and by the one that takes over once it does', async () => {
  const scene = await runningScene({ env: { RETRY_MAX_MS: '200' } });
  const { db, hook, bridge: first } = scene;
  const second = await scene.start();
  await second.waitForLog(({ msg }) => msg.startsWith('standing by'));
  let underWay = new Map<string, number>();
  let together = 0;
  let status = 500;
  // Slow enough for two at once to show.
  hook.respond = ({ headers }) => {
    const id = String(headers['webhook-id']);
    const counts = underWay;
    const count = (by: number): number => {
      const now = (counts.get(id) ?? 0) + by;
      counts.set(id, now);
      return now;
    };
    together = Math.max(together, count(1));
    const answered = sleep(30).then(() => count(-1));
    return { status, delayUntil: answered };
  };
  const texts = Array.from({ length: 20 }, (_item, index) => `parked ${index}`);
  for (const text of texts) await say(scene, text);
  await eventually(async () => expect(await db.query("SELECT count(*)::int AS n FROM slackchat_bridge.deliveries WHERE status = 'waiting'")).toEqual([{ n: 20 }]));
  const before = hook.notifications.length;
  await hook.waitForNotifications(before + 20);
  expect(together).toBe(1);
  expect(second.logs.filter(({ msg }) => msg === 'attempt failed')).toEqual([]);

  await first.stop('SIGKILL');
  // Its connections are gone, and with them what it had under way.
  underWay = new Map();
  status = 200;
  await second.waitForLog(({ msg }) => msg === 'streaming');
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]));
  await waitConfirmed(db);
  expect(together).toBe(1);
  expect(new Set(hook.notifications.map(({ body }) => body.message?.content))).toEqual(new Set(texts));
});
