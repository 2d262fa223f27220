import { expect, onTestFinished, test, vi } from 'vitest';
import { startPostgres, type PostgresServer } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { MuteStream } from '../support/mute-stream.js';
import { runCommand, startBridge, type BridgeProcess } from '../support/process.js';
import { createScene, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';
import { startProxy } from '../support/tcp-proxy.js';

// Servers of their own, and stalls that take their time.
vi.setConfig({ testTimeout: 60_000 });

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const CANARY = { CANARY_INTERVAL_MS: '300' };
const MISSING = /a canary has not come round within 2000 ms/u;

async function ownServer(): Promise<PostgresServer> {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  return server;
}

async function get(bridge: BridgeProcess, path: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`${await bridge.adminUrl()}${path}`);
  return { status: answer.status, text: await answer.text() };
}

test('an idle stream is asked by a canary each interval, which comes round unnoticed; none flies where it is turned off', async () => {
  const scene = await runningScene({ serverUrl: (await ownServer()).url(), env: CANARY });
  const { db, hook, bridge } = scene;
  const canaries = async (): Promise<number> => Number(/^slackchat_bridge_transactions_total (\d+)$/mu.exec((await get(bridge, '/metrics')).text)?.[1]);
  const before = await canaries();
  await eventually(async () => expect(await canaries()).toBeGreaterThan(before + 3));
  await bridge.stop();
  expect(hook.notifications).toEqual([]);

  const silent = await scene.start({ CANARY_INTERVAL_MS: '0' });
  await waitConfirmed(db);
  const taken = async (): Promise<string | undefined> => /^slackchat_bridge_transactions_total \d+$/mu.exec((await get(silent, '/metrics')).text)?.[0];
  const afterStart = await taken();
  await db.query('SELECT pg_sleep(1)');
  expect(await taken()).toBe(afterStart);
});

test('keepalives come and commits do not: readiness says so until something comes, and the stream is begun again each time', async () => {
  const server = await ownServer();
  const scene = await createScene({ serverUrl: server.url(), env: CANARY });
  const mute = new MuteStream();
  const proxy = await startProxy(server.port, mute.filter);
  onTestFinished(async () => proxy.close());
  const bridge = await scene.start({ DATABASE_URL: `${scene.db.urlVia(proxy.port)}?sslmode=disable` });
  await scene.register(scene.hook.url);
  mute.speaks = false;
  const isStall = ({ msg }: { readonly msg: string }): boolean => msg === 'the stream stands still; it is begun again from the slot';
  expect(await bridge.waitForLog(isStall)).toMatchObject({ level: 'error', kind: 'stream', reason: expect.stringMatching(MISSING) as string });
  await bridge.waitForLog((line) => isStall(line) && bridge.logs.filter(isStall).indexOf(line) === 1);
  // Streaming again, and not believed.
  await eventually(async () => {
    expect(JSON.parse((await get(bridge, '/api/status')).text)).toMatchObject({ state: 'streaming' });
    expect(await get(bridge, '/readyz')).toEqual({ status: 503, text: expect.stringMatching(MISSING) as string });
  });
  expect((await get(bridge, '/metrics')).text).toMatch(/^slackchat_bridge_stalls_total\{kind="stream"\} [2-9]$/mu);
  mute.speaks = true;
  await bridge.waitForLog(({ msg, kind }) => msg === 'the stall is over' && kind === 'stream');
  await bridge.waitReady();
  await say(scene, 'heard');
  await waitConfirmed(scene.db);
  expect(told(scene.hook.notifications)).toEqual(['message_created heard']);
});

test('a walsender that stands still is found out long before wal_sender_timeout; once it is gone, nothing is lost', async () => {
  const scene = await runningScene({ serverUrl: (await ownServer()).url(), env: CANARY });
  const { db, hook, bridge } = scene;
  const [slot] = await db.query<{ pid: number }>('SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1', [db.slotName]);
  const walsender = slot?.pid ?? 0;
  expect(walsender).toBeGreaterThan(0);
  process.kill(walsender, 'SIGSTOP');
  try {
    await say(scene, 'meanwhile');
    await bridge.waitForLog(({ reason }) => MISSING.test(String(reason)));
    expect(await get(bridge, '/readyz')).toEqual({ status: 503, text: expect.stringMatching(MISSING) as string });
    expect(hook.notifications).toEqual([]);
  } finally {
    process.kill(walsender, 'SIGCONT');
  }
  await hook.waitFor(({ body }) => body.message?.content === 'meanwhile');
  await bridge.waitReady();
});

test('a commit that stays invisible is no silent stall: readiness says what is waited for, until it is over', async () => {
  const server = await ownServer();
  const scene = await runningScene({ serverUrl: server.url(), env: CANARY });
  const { db, hook, bridge } = scene;
  const standby = async (name: string): Promise<void> => {
    await db.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
    await db.query('SELECT pg_reload_conf()');
    await eventually(async () => expect(await db.query('SHOW synchronous_standby_names')).toEqual([{ synchronous_standby_names: name }]));
  };
  await standby('nobody');
  const said = say(scene, 'at last');
  const stalled = await bridge.waitForLog(({ msg }) => msg === 'what has come is not worked off');
  expect(stalled).toMatchObject({ level: 'error', kind: 'standstill', reason: expect.stringContaining('until a commit is visible to other sessions') as string });
  expect(await get(bridge, '/readyz')).toEqual({ status: 503, text: expect.stringContaining('synchronous standby') as string });
  // The stream is well.
  expect(bridge.logs.filter(({ msg }) => msg.startsWith('the replication stream broke'))).toEqual([]);
  expect(hook.notifications).toEqual([]);
  await standby('');
  await said;
  await hook.waitFor(({ body }) => body.message?.content === 'at last');
  await bridge.waitForLog(({ msg, kind }) => msg === 'the stall is over' && kind === 'standstill');
  await bridge.waitReady();
});

test('a server that takes no canary is said, once', async () => {
  const scene = await createScene({ serverUrl: (await ownServer()).url(), env: CANARY });
  const { db } = scene;
  expect((await runCommand(scene.env, ['setup'])).code).toBe(0);
  await db.query(`CREATE ROLE bridge LOGIN REPLICATION PASSWORD 'x'`);
  expect((await runCommand(scene.env, ['setup', '--grant', 'bridge'])).code).toBe(0);
  const url = new URL(db.url);
  url.username = 'bridge';
  url.password = 'x';
  const bridge = startBridge({ ...scene.env, DATABASE_URL: url.href });
  await bridge.waitReady();
  await db.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(boolean, text, text, boolean) FROM PUBLIC');
  const unsent = ({ msg }: { readonly msg: string }): boolean => msg.startsWith('a canary cannot be sent');
  expect(await bridge.waitForLog(unsent)).toMatchObject({ level: 'warn', reason: 'permission denied for function pg_logical_emit_message' });
  // Several were tried by then.
  await db.query('SELECT pg_sleep(1)');
  expect(bridge.logs.filter(unsent)).toHaveLength(1);
});
