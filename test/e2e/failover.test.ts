import type pg from 'pg';
import { Pool } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { runCommand, type BridgeProcess } from '../support/process.js';
import { createScene, told, type Scene } from '../support/scene.js';
import { startStandby, type StandbyServer } from '../support/standby.js';

interface PairScene extends Scene {
  readonly primary: PostgresServer;
  readonly standby: StandbyServer;
  readonly bridge: BridgeProcess;
  /** A pool of the standby's, in the scene's database. */
  readonly there: pg.Pool;
}

/** A bridge that has both servers in its DATABASE_URL, the standby first. @param synced the standby keeps copies of failover slots */
async function pairScene(synced: boolean): Promise<PairScene> {
  const primary = await startPostgres({ settings: { synchronized_standby_slots: synced ? 'copy' : '' } });
  onTestFinished(async () => primary.dispose());
  const scene = await createScene({ serverUrl: primary.url() });
  // The slot first: the standby looks for new ones at long intervals.
  expect((await runCommand(scene.env, ['setup'])).code).toBe(0);
  const standby = await startStandby(primary, 'copy', {
    hot_standby_feedback: 'on',
    sync_replication_slots: synced ? 'on' : 'off',
    // Once it is the primary it waits for no standby.
    synchronized_standby_slots: '',
  });
  onTestFinished(async () => standby.dispose());
  const here = new URL(scene.db.url);
  const DATABASE_URL = scene.db.url.replace(here.host, `127.0.0.1:${standby.port},${here.host}`);
  const bridge = await scene.start({ DATABASE_URL });
  await scene.register(scene.hook.url);
  const there = new Pool({ connectionString: standby.url(scene.db.name) });
  there.on('error', () => undefined);
  onTestFinished(async () => there.end());
  // The scene's database is dropped there.
  onTestFinished(async () => primary.start());
  return { ...scene, env: { ...scene.env, DATABASE_URL }, primary, standby, bridge, there };
}

const say = async (pool: pg.Pool, { chat }: Scene, text: string): Promise<number> => insertMessage(pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

/** The standby's copy of the slot is one that it can go on with, as far as `lsn`. */
async function waitSynced({ there, db }: PairScene, lsn: string): Promise<void> {
  await eventually(async () => {
    // The primary's slot has to come to where the standby could begin to decode.
    await db.query('SELECT pg_log_standby_snapshot(), pg_sleep(0.1)');
    const { rows } = await there.query(
      'SELECT synced, temporary, failover, confirmed_flush_lsn >= $2::pg_lsn AS as_far FROM pg_replication_slots WHERE slot_name = $1',
      [db.slotName, lsn],
    );
    expect(rows).toEqual([{ synced: true, temporary: false, failover: true, as_far: true }]);
  }, { timeoutMs: 20_000 });
}

async function waitReplayed({ there }: PairScene, lsn: string): Promise<void> {
  await eventually(async () => expect((await there.query('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done', [lsn])).rows).toEqual([{ done: true }]));
}

const written = async ({ db }: Scene): Promise<string> => (await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn'))[0]?.lsn ?? '';

test('a failover slot goes on where it was on the promoted standby: nothing is lost, and no channel announced anew', async () => {
  const scene = await pairScene(true);
  const { db, hook, bridge, primary, standby, there } = scene;
  expect(await db.query('SELECT failover FROM pg_replication_slots WHERE slot_name = $1', [db.slotName])).toEqual([{ failover: true }]);
  await say(db.pool, scene, 'before');
  await hook.waitForNotifications(1);
  await waitSynced(scene, await written(scene));
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await say(db.pool, scene, 'unanswered');
  await hook.waitForNotifications(2);
  await waitReplayed(scene, await written(scene));
  await primary.stop('immediate');
  await bridge.waitForLog(({ msg, reason }) => msg.startsWith('the replication stream broke') && String(reason).includes('no host takes writes'), 20_000);
  expect((await fetch(`${await bridge.adminUrl()}/readyz`)).status).toBe(503);
  await standby.promote();
  await say(there, scene, 'after');
  gate.open();
  await hook.waitFor(({ body }) => body.message?.content === 'after', { timeoutMs: 20_000 });
  await bridge.waitReady();
  expect(await bridge.waitForLog(({ msg, timeline }) => msg === 'streaming' && timeline === '2')).toMatchObject({ fresh: true });
  expect(told(hook.notifications)).toEqual(['message_created before', 'message_created unanswered', 'message_created after']);
  // The pool has followed too: what fails is parked there.
  hook.respond = () => ({ status: 500 });
  await say(there, scene, 'parked');
  await eventually(async () => expect((await there.query("SELECT status FROM slackchat_bridge.deliveries WHERE last_status = 500")).rows).toEqual([{ status: 'waiting' }]));
  hook.respond = () => ({ status: 200 });
  await eventually(async () => expect((await there.query('SELECT FROM slackchat_bridge.deliveries')).rows).toEqual([]));
  expect((await runCommand(scene.env, ['webhooks', 'list'])).stdout).toContain(hook.url);
}, 60_000);

test('a slot that the promoted standby does not have is made anew, and every channel is announced', async () => {
  const scene = await pairScene(false);
  const { db, chat, hook, bridge, primary, standby, there } = scene;
  await say(db.pool, scene, 'before');
  await hook.waitForNotifications(1);
  await waitReplayed(scene, await written(scene));
  await primary.stop('immediate');
  await standby.promote();
  await say(there, scene, 'unseen');
  await bridge.waitForLog(({ msg }) => msg.startsWith('the slot is lost: a new one is made'), 20_000);
  const [announced] = await hook.waitFor(({ body }) => body.type === 'update_notification' && body.update_type === undefined);
  expect(announced?.body).toMatchObject({ type: 'update_notification', channel: chat.channelId });
  await say(there, scene, 'after');
  await hook.waitFor(({ body }) => body.message?.content === 'after');
}, 60_000);
