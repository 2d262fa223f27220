import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { runCommand, startBridge, type BridgeProcess } from '../support/process.js';
import { startReceiver, type ReceivedRequest, type Receiver } from '../support/receiver.js';
import { createScene, told, waitConfirmed, type Scene, type SceneOptions } from '../support/scene.js';

const MIRROR = { APP_WEBHOOKS: 'mirror' };

interface MirrorScene extends Scene {
  readonly bridge: BridgeProcess;
  /** A row of the application's table. @returns its id */
  readonly add: (endpoint: string, verified?: boolean) => Promise<number>;
  readonly verified: (id: number) => Promise<unknown>;
  readonly waitTicked: (id: number, ticked: boolean) => Promise<void>;
}

async function mirrorScene(options: SceneOptions = {}): Promise<MirrorScene> {
  const scene = await createScene({ ...options, env: { ...MIRROR, ...options.env } });
  const { db } = scene;
  const bridge = await scene.start();
  const verified = async (id: number): Promise<unknown> => (await db.query('SELECT verified FROM slackchat_webhook WHERE id = $1', [id]))[0]?.['verified'];
  return {
    ...scene,
    bridge,
    verified,
    add: async (endpoint, ticked = false) => add(scene, endpoint, ticked),
    waitTicked: async (id, ticked) => eventually(async () => expect(await verified(id)).toBe(ticked)),
  };
}

async function add({ db }: Scene, endpoint: string, verified = false): Promise<number> {
  const [row] = await db.query<{ id: number }>('INSERT INTO slackchat_webhook (endpoint, verified) VALUES ($1, $2) RETURNING id', [endpoint, verified]);
  return row?.id ?? 0;
}

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const challengesOf = (hook: Receiver): ReceivedRequest[] => hook.requests.filter(({ body }) => body.type === 'url_verification');
const own = async ({ db }: Scene): Promise<unknown> => db.query('SELECT endpoint, source_id, enabled, verified FROM slackchat_bridge.webhooks ORDER BY id');

/** A receiver more. */
async function another(): Promise<Receiver> {
  const receiver = await startReceiver();
  onTestFinished(async () => receiver.close());
  return receiver;
}

test('a row of the application is challenged, ticked, told, and gets nothing more once it is deleted', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  await say(scene, 'a');
  await hook.waitForNotifications(1);
  await db.query('DELETE FROM slackchat_webhook WHERE id = $1', [id]);
  await eventually(async () => expect(await own(scene)).toEqual([]));
  await say(scene, 'b');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created a']);
  expect(challengesOf(hook)).toHaveLength(1);
});

test('its own tick is no save: neither it nor a save of a verified row causes a challenge, here or after a restart', async () => {
  const scene = await mirrorScene();
  const { db, hook, bridge } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  await db.query('UPDATE slackchat_webhook SET endpoint = endpoint, verified = true');
  await waitConfirmed(db);
  // One after the other: what came before it has been seen when this one is verified.
  const later = await another();
  await scene.waitTicked(await scene.add(later.url), true);
  expect(challengesOf(hook)).toHaveLength(1);
  await bridge.stop('SIGKILL');
  await scene.start();
  await say(scene, 'a');
  await hook.waitForNotifications(1);
  await waitConfirmed(db);
  expect(challengesOf(hook)).toHaveLength(1);
});

test('a row that fails is unticked, says why in the bridge\'s table, and is challenged again whenever it is saved', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  hook.challenge = 'wrong';
  const id = await scene.add(hook.url, true);
  await scene.waitTicked(id, false);
  expect(await db.query('SELECT last_error FROM slackchat_bridge.webhooks')).toEqual([{ last_error: expect.stringContaining('its body is not the challenge') as string }]);
  hook.clear();
  await db.query('UPDATE slackchat_webhook SET endpoint = endpoint');
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  hook.challenge = 'quoted';
  await eventually(async () => {
    await db.query('UPDATE slackchat_webhook SET verified = false WHERE NOT verified');
    expect(await scene.verified(id)).toBe(true);
  });
  await say(scene, 'a');
  await hook.waitForNotifications(1);
});

test('unticked by hand: challenged, and told nothing until it has answered', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  const gate = closedGate();
  onTestFinished(() => gate.open());
  hook.clear();
  hook.challenge = ({ body }) => ({ status: 200, body: body.challenge ?? '', delayUntil: gate.opened });
  await db.query('UPDATE slackchat_webhook SET verified = false');
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  await say(scene, 'unheard');
  await waitConfirmed(db);
  gate.open();
  await scene.waitTicked(id, true);
  await say(scene, 'heard');
  await hook.waitForNotifications(1);
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created heard']);
  expect(challengesOf(hook)).toHaveLength(1);
});

test('ticked by hand: nothing is sent before the challenge comes back, and nothing that was committed meanwhile is lost', async () => {
  const scene = await mirrorScene();
  const { db, hook, bridge } = scene;
  const gate = closedGate();
  onTestFinished(() => gate.open());
  hook.challenge = ({ body }) => ({ status: 200, body: body.challenge ?? '', delayUntil: gate.opened });
  const id = await scene.add(hook.url, true);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  await say(scene, 'a');
  await waitConfirmed(db);
  // Also not by a crash.
  await say(scene, 'b');
  await bridge.stop('SIGKILL');
  await scene.start();
  await say(scene, 'c');
  await waitConfirmed(db);
  expect(hook.notifications).toEqual([]);
  gate.open();
  await eventually(async () => expect(told(hook.notifications).sort()).toEqual(['message_created a', 'message_created b', 'message_created c']));
  await scene.waitTicked(id, true);
});

test('a changed address is challenged although the tick was left, and what was committed meanwhile goes there', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  const moved = await another();
  const gate = closedGate();
  onTestFinished(() => gate.open());
  moved.challenge = ({ body }) => ({ status: 200, body: body.challenge ?? '', delayUntil: gate.opened });
  await db.query('UPDATE slackchat_webhook SET endpoint = $1, verified = true', [moved.url]);
  await moved.waitFor(({ body }) => body.type === 'url_verification');
  await say(scene, 'a');
  await waitConfirmed(db);
  expect(moved.notifications).toEqual([]);
  gate.open();
  await moved.waitForNotifications(1);
  expect(hook.notifications).toEqual([]);
  await eventually(async () => expect(await own(scene)).toEqual([{ endpoint: moved.url, source_id: String(id), enabled: true, verified: true }]));
});

test('what was parked goes to the new address of the row', async () => {
  const scene = await mirrorScene({ env: { RETRY_BASE_MS: '600000' } });
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  hook.respond = () => ({ status: 500 });
  await say(scene, 'a');
  await eventually(async () => expect(await db.query('SELECT status FROM slackchat_bridge.deliveries')).toEqual([{ status: 'waiting' }]));
  const moved = await another();
  await db.query('UPDATE slackchat_webhook SET endpoint = $1', [moved.url]);
  await eventually(async () => expect(await own(scene)).toMatchObject([{ endpoint: moved.url, verified: true }]));
  await db.query('SELECT slackchat_bridge.retry_all(id) FROM slackchat_bridge.webhooks');
  await moved.waitForNotifications(1);
});

test('rows that were there before, and what was done to the table while the bridge was down, are caught up with', async () => {
  const scene = await createScene();
  const { db, hook } = scene;
  const [other, third] = [await another(), await another()];
  const first = await add(scene, hook.url, true);
  await scene.start({ APP_WEBHOOKS: 'off' }).then(async (bridge) => bridge.stop());
  expect(await own(scene)).toEqual([]);
  const bridge = await scene.start(MIRROR);
  await eventually(async () => expect(await own(scene)).toEqual([{ endpoint: hook.url, source_id: String(first), enabled: true, verified: true }]));
  await bridge.stop('SIGKILL');
  await db.query('DELETE FROM slackchat_webhook');
  const second = await add(scene, other.url);
  await add(scene, third.url, true);
  await db.query('UPDATE slackchat_webhook SET endpoint = $1 WHERE endpoint = $2', [`${third.url}/2`, third.url]);
  await scene.start(MIRROR);
  await eventually(async () => expect(await db.query('SELECT endpoint, verified FROM slackchat_webhook ORDER BY id')).toEqual([{ endpoint: other.url, verified: true }, { endpoint: `${third.url}/2`, verified: true }]));
  await say(scene, 'a');
  await Promise.all([other.waitForNotifications(1), third.waitForNotifications(1)]);
  await waitConfirmed(db);
  expect(hook.notifications).toEqual([]);
  expect(await own(scene)).toMatchObject([{ endpoint: other.url, source_id: String(second) }, { endpoint: `${third.url}/2` }]);
});

test('TRUNCATE removes them all, and leaves what was registered by hand', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const other = await another();
  await scene.register(other.url);
  await scene.waitTicked(await scene.add(hook.url), true);
  await db.query('TRUNCATE slackchat_webhook');
  await eventually(async () => expect(await own(scene)).toEqual([{ endpoint: other.url, source_id: null, enabled: true, verified: true }]));
});

test('an endpoint in both tables is told once, and stays when the application\'s row goes', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  await scene.register(hook.url, { chat_types: ['default'] });
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  await say(scene, 'a');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created a']);
  await db.query('DELETE FROM slackchat_webhook');
  await say(scene, 'b');
  await eventually(() => expect(told(hook.notifications)).toEqual(['message_created a', 'message_created b']));
  expect(await own(scene)).toEqual([{ endpoint: hook.url, source_id: null, enabled: true, verified: true }]);
});

test('rows that cannot be endpoints hold nobody up: they are named in log and status, unticked, and become endpoints once they are mended', async () => {
  const scene = await createScene({ env: { ...MIRROR } });
  const { db, hook } = scene;
  await add(scene, 'ftp://example.org/', true);
  const secret = await add(scene, 'http://user:hunter2@example.org/', true);
  const bridge = await scene.start();
  await add(scene, hook.url);
  await eventually(async () => expect(await own(scene)).toMatchObject([{ endpoint: hook.url, verified: true }]));
  const lines = bridge.logs.filter(({ msg }) => msg.includes('cannot be an endpoint'));
  expect(lines.map((line) => line['rule'])).toEqual(['endpoint must be an http or https url', 'endpoint must not contain credentials']);
  const status: unknown = await (await fetch(`${await bridge.adminUrl()}/api/status`)).json();
  expect(status).toMatchObject({ refusedRows: [{ rule: 'endpoint must be an http or https url' }, { id: String(secret) }] });
  expect(bridge.stdout + JSON.stringify(status)).not.toContain('hunter2');
  await eventually(async () => expect(await db.query('SELECT verified FROM slackchat_webhook ORDER BY id')).toEqual([{ verified: false }, { verified: false }, { verified: true }]));
  await db.query('UPDATE slackchat_webhook SET endpoint = $1 WHERE id = $2', [`${hook.url}/mended`, secret]);
  await hook.waitFor(({ path }) => path === '/hook/mended');
});

test('an address that becomes unusable disables the endpoint, which keeps what waits for it', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  await db.query("UPDATE slackchat_webhook SET endpoint = 'nothing'");
  await eventually(async () =>
    expect(await db.query('SELECT enabled, disabled_reason FROM slackchat_bridge.webhooks')).toEqual([{ enabled: false, disabled_reason: expect.stringContaining('endpoint must be an http or https url') as string }]),
  );
  await db.query('UPDATE slackchat_webhook SET endpoint = $1', [hook.url]);
  await scene.waitTicked(id, true);
  await say(scene, 'a');
  await hook.waitForNotifications(1);
});

test('410 unticks the row, and a save in the admin takes it back', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  hook.respond = () => ({ status: 410 });
  await say(scene, 'a');
  await scene.waitTicked(id, false);
  hook.respond = () => ({ status: 200 });
  hook.clear();
  await db.query('UPDATE slackchat_webhook SET verified = false');
  await scene.waitTicked(id, true);
  await say(scene, 'b');
  await eventually(() => expect(told(hook.notifications)).toEqual(['message_created b']));
});

test('a row that somebody holds locked is ticked once it is free, and holds nothing up', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const gate = closedGate();
  hook.challenge = ({ body }) => ({ status: 200, body: body.challenge ?? '', delayUntil: gate.opened });
  const id = await scene.add(hook.url);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  const client = await db.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM slackchat_webhook FOR UPDATE');
  gate.open();
  await eventually(async () => expect(await own(scene)).toMatchObject([{ verified: true }]));
  await say(scene, 'a');
  await hook.waitForNotifications(1);
  expect(await scene.verified(id)).toBe(false);
  await client.query('COMMIT');
  client.release();
  await scene.waitTicked(id, true);
});

test('deleted while its challenge is under way: nothing is written, nothing breaks', async () => {
  const scene = await mirrorScene();
  const { db, hook, bridge } = scene;
  const gate = closedGate();
  hook.challenge = ({ body }) => ({ status: 200, body: body.challenge ?? '', delayUntil: gate.opened });
  await scene.add(hook.url);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  await db.query('DELETE FROM slackchat_webhook');
  gate.open();
  await eventually(async () => expect(await own(scene)).toEqual([]));
  const other = await another();
  await scene.waitTicked(await scene.add(other.url), true);
  expect(bridge.logs.filter(({ level }) => level === 'error')).toEqual([]);
});

test('with the mirror off again its endpoints are disabled, and back on they go on where they were', async () => {
  const scene = await mirrorScene();
  const { db, hook, bridge } = scene;
  await scene.waitTicked(await scene.add(hook.url), true);
  await bridge.stop();
  const off = await scene.start({ APP_WEBHOOKS: 'off' });
  expect(await db.query('SELECT enabled, disabled_reason FROM slackchat_bridge.webhooks')).toEqual([{ enabled: false, disabled_reason: expect.stringContaining('APP_WEBHOOKS is off') as string }]);
  await say(scene, 'a');
  await waitConfirmed(db);
  await off.stop();
  await scene.start();
  await say(scene, 'b');
  await hook.waitForNotifications(1);
  expect(told(hook.notifications)).toEqual(['message_created b']);
  expect(challengesOf(hook)).toHaveLength(1);
});

test('the address of a mirrored row is not changed by hand, unless it is taken out of the mirror', async () => {
  const scene = await mirrorScene();
  const { db, hook } = scene;
  const id = await scene.add(hook.url);
  await scene.waitTicked(id, true);
  await expect(db.query("UPDATE slackchat_bridge.webhooks SET endpoint = 'http://example.org/'")).rejects.toThrow('change its endpoint there');
  await db.query('UPDATE slackchat_bridge.webhooks SET source_id = NULL');
  await db.query('DELETE FROM slackchat_webhook');
  await say(scene, 'a');
  await hook.waitForNotifications(1);
});

test('the publication has to hold the table, and a role of its own may change one column of it', async () => {
  const scene = await createScene();
  const { db, env, hook } = scene;
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  const printed = await runCommand({ ...env, ...MIRROR }, ['setup', '--print']);
  expect(printed.stdout).toMatch(/ALTER PUBLICATION .* ADD TABLE\s+"public"\."slackchat_webhook"/u);
  const refused = await runCommand({ ...env, ...MIRROR }, ['run']);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('missing: the publication')]);
  const role = `bridge_${db.name}`;
  await db.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw'`);
  onTestFinished(async () => {
    await db.query(`DROP OWNED BY ${role}`);
    await db.query(`DROP ROLE ${role}`);
  });
  expect((await runCommand({ ...env, ...MIRROR }, ['setup', '--grant', role])).code).toBe(0);
  const [may] = await db.query(
    `SELECT has_column_privilege($1, 'slackchat_webhook', 'verified', 'UPDATE') AS verified, has_column_privilege($1, 'slackchat_webhook', 'endpoint', 'UPDATE') AS endpoint, has_table_privilege($1, 'slackchat_webhook', 'INSERT, DELETE') AS others`,
    [role],
  );
  expect(may).toEqual({ verified: true, endpoint: false, others: false });
  const url = new URL(env['DATABASE_URL'] ?? '');
  url.username = role;
  url.password = 'pw';
  const bridge = startBridge({ ...env, ...MIRROR, DATABASE_URL: url.href });
  await bridge.waitReady();
  const id = await add(scene, hook.url);
  await eventually(async () => expect(await db.query('SELECT verified FROM slackchat_webhook WHERE id = $1', [id])).toEqual([{ verified: true }]));
  await db.query('DELETE FROM slackchat_webhook');
  await eventually(async () => expect(await own(scene)).toEqual([]));
  await bridge.stop();
});
