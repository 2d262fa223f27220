import { expect, onTestFinished, test, vi } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { startBridge } from '../support/process.js';
import { runningScene, told, waitConfirmed, type Scene, type SceneOptions } from '../support/scene.js';

// Servers of their own, and much WAL.
vi.setConfig({ testTimeout: 60_000 });

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

/** On a server of its own that keeps no more than a segment of WAL for a slot. */
async function shortOfWal(env: SceneOptions['env'] = {}): ReturnType<typeof runningScene> {
  const server = await startPostgres({ settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' } });
  onTestFinished(async () => server.dispose());
  return runningScene({ serverUrl: server.url(), env });
}

/** The server goes on without the slot until that has lost its WAL. */
async function invalidateSlot({ db }: Scene): Promise<void> {
  await db.query('CREATE TABLE IF NOT EXISTS elsewhere (id int)');
  await eventually(async () => {
    await db.query('INSERT INTO elsewhere VALUES (1)');
    await db.query('SELECT pg_switch_wal()');
    await db.query('CHECKPOINT');
    expect(await db.query('SELECT wal_status, active FROM pg_replication_slots')).toEqual([{ wal_status: 'lost', active: false }]);
  });
}

test('a slot that the server cut off while the bridge was down: stop ends with a clear message, resync announces every channel and goes on', async () => {
  const scene = await shortOfWal();
  const { db, chat, hook, bridge } = scene;
  expect((await bridge.stop()).code).toBe(0);
  await say(scene, 'unseen');
  await invalidateSlot(scene);
  const stopping = startBridge({ ...scene.env, ON_SLOT_LOST: 'stop' }, ['run']);
  expect((await stopping.exited).code).toBe(1);
  expect(stopping.stderr).toMatch(/replication slot ".*" cannot be used: .*; changes since are lost to webhooks\. ON_SLOT_LOST is stop: run slackchat-bridge setup, then resync/u);
  expect(await db.query('SELECT wal_status FROM pg_replication_slots')).toEqual([{ wal_status: 'lost' }]);

  const resyncing = startBridge(scene.env, ['run']);
  await resyncing.waitReady();
  expect(await resyncing.waitForLog(({ msg }) => msg.startsWith('the slot is lost: a new one is made'))).toMatchObject({ level: 'error' });
  expect((await hook.waitForNotifications(1))[0]?.body).toEqual({ token: 'test-token', type: 'update_notification', channel: chat.channelId, chat_type: 'default' });
  await say(scene, 'seen');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['update_notification', 'message_created seen']);
  expect(await db.query('SELECT wal_status, active FROM pg_replication_slots')).toEqual([{ wal_status: 'reserved', active: true }]);
});

test('a slot that the server cuts off under a bridge that does not come to reading: it is made anew, and every channel is announced', async () => {
  const scene = await shortOfWal();
  const { db, hook, bridge } = scene;
  bridge.kill('SIGSTOP');
  await say(scene, 'unseen');
  await invalidateSlot(scene);
  // A new slot has to wait for every transaction that is open.
  const open = await db.pool.connect();
  await open.query("BEGIN; INSERT INTO elsewhere VALUES (2)");
  bridge.kill('SIGCONT');
  await bridge.waitForLog(({ msg }) => msg.startsWith('the slot is lost: a new one is made'));
  await eventually(async () => expect(await db.query("SELECT FROM pg_stat_activity WHERE query LIKE '%pg_create_logical_replication_slot%' AND wait_event_type = 'Lock'")).toHaveLength(1));
  const answer = await fetch(`${await bridge.adminUrl()}/readyz`);
  expect([answer.status, await answer.text()]).toEqual([503, expect.stringMatching(/not streaming: replication slot ".*" cannot be used/u)]);
  await open.query('COMMIT');
  open.release();
  await hook.waitFor(({ body }) => body.type === 'update_notification' && body.update_type === undefined);
  await bridge.waitReady();
  await say(scene, 'seen');
  await waitConfirmed(db);
  expect(told(hook.notifications).filter((text) => text !== 'message_created unseen')).toEqual(['update_notification', 'message_created seen']);
});

test('with ON_SLOT_LOST=stop a running bridge whose slot is cut off ends with status 1', async () => {
  const scene = await shortOfWal({ ON_SLOT_LOST: 'stop' });
  const { bridge } = scene;
  bridge.kill('SIGSTOP');
  await invalidateSlot(scene);
  bridge.kill('SIGCONT');
  expect(await bridge.exited).toEqual({ code: 1, signal: null });
  expect(bridge.stderr).toContain('ON_SLOT_LOST is stop');
});

test('a slot whose WAL is about to go is said, and is no reason to take the bridge out of service', async () => {
  const server = await startPostgres({ settings: { max_slot_wal_keep_size: '16MB', max_wal_size: '4GB', checkpoint_timeout: '1h' } });
  onTestFinished(async () => server.dispose());
  const scene = await runningScene({ serverUrl: server.url() });
  const { db, hook, bridge } = scene;
  await db.query('CREATE TABLE elsewhere (words text)');
  // From here on the server needs its WAL for the slot, however far that has been confirmed.
  const open = await db.pool.connect();
  await open.query("BEGIN; INSERT INTO elsewhere VALUES ('long')");
  await db.query('SELECT pg_log_standby_snapshot()');
  await db.query(`INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 70000)`);
  await bridge.waitForLog(({ level, msg }) => level === 'error' && msg.startsWith('the slot is about to be lost'), 20_000);
  const answer = await fetch(`${await bridge.adminUrl()}/readyz`);
  expect(answer.status).toBe(200);
  const metrics = await (await fetch(`${await bridge.adminUrl()}/metrics`)).text();
  expect(metrics).toContain('slackchat_bridge_slot_wal_status{status="unreserved"} 1');
  await open.query('COMMIT');
  open.release();
  await waitConfirmed(db);
  await db.query('SELECT pg_log_standby_snapshot()');
  await bridge.waitForLog(({ msg }) => msg.startsWith('the WAL that the slot needs is within bounds again'), 20_000);
  await say(scene, 'well');
  await hook.waitForNotifications(1);
});

test('idle chat tables beside a busy database hold no WAL back', async () => {
  const server = await startPostgres({ settings: { max_wal_size: '64MB', min_wal_size: '32MB' } });
  onTestFinished(async () => server.dispose());
  // Without a canary: keepalives alone move the slot on.
  const scene = await runningScene({ serverUrl: server.url(), env: { CANARY_INTERVAL_MS: '0' } });
  const { db, hook, bridge } = scene;
  await waitConfirmed(db);
  await db.query('CREATE TABLE elsewhere (words text)');
  const [before] = await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  await db.query(`INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 50000)`);
  await waitConfirmed(db);
  // Where the server may cut, it finds out at checkpoints and the like.
  await eventually(async () => {
    await db.query('CHECKPOINT');
    const [slot] = await db.query(
      `SELECT restart_lsn - $1::pg_lsn > 50000000 AS moved, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 17000000 AS near, wal_status FROM pg_replication_slots`,
      [before?.lsn],
    );
    expect(slot).toEqual({ moved: true, near: true, wal_status: 'reserved' });
  });
  expect(hook.notifications).toEqual([]);
  expect(bridge.logs.filter(({ msg }) => msg.startsWith('the replication stream broke'))).toEqual([]);
});
