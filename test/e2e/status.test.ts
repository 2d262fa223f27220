import { createServer } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { listenOnFreePort } from '../support/port.js';
import { runCommand } from '../support/process.js';
import { startReceiver } from '../support/receiver.js';
import { createScene, runningScene } from '../support/scene.js';

// Each starts several processes, one after the other, which a busy machine takes its time for.
vi.setConfig({ testTimeout: 90_000 });

interface Endpoint {
  readonly id: string;
  readonly endpoint: string;
  readonly state: string;
  readonly why: string | null;
  readonly waiting: number;
  readonly inFlight: number | null;
  readonly lastSuccessAt: string | null;
  readonly failingSince: string | null;
  readonly nextAttemptAt: string | null;
}
interface Told {
  readonly bridge: { readonly url: string | null; readonly fault: string | null; readonly status: { readonly state: string } | null };
  readonly slot: { readonly name: string; readonly active?: boolean; readonly lagBytes?: number };
  readonly endpoints: readonly Endpoint[];
  readonly databaseFault: string | null;
}

async function status(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Told & { readonly code: number | null; readonly stderr: string }> {
  const { code, stdout, stderr } = await runCommand(env, ['status', '--json', ...args]);
  return { ...(JSON.parse(stdout) as Told), code, stderr };
}

test('of a running bridge: the stream, the slot, and each endpoint with what it is and why', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000', ADMIN_TOKEN: 'hidden-admin' } });
  const { db, chat, hook, env, bridge, webhookId } = scene;
  const failing = await startReceiver({ respond: () => ({ status: 503 }) });
  onTestFinished(async () => failing.close());
  const failingId = await scene.register(`${failing.url}?key=hidden-key`);
  const [{ id: unverifiedId } = { id: '' }] = await db.query<{ id: string }>("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:1/') RETURNING id::text");
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0] });
  await hook.waitForNotifications(1);
  await failing.waitForNotifications(1);
  await eventually(async () => expect(await db.query('SELECT last_error FROM slackchat_bridge.webhooks WHERE last_error IS NOT NULL')).toHaveLength(2));

  const url = await bridge.adminUrl();
  const asked = { ...env, ADMIN_PORT: new URL(url).port };
  const told = await status(asked);
  expect(told).toMatchObject({ code: 0, stderr: '', databaseFault: null, bridge: { url, fault: null, status: { state: 'streaming', slot: db.slotName, reason: null } }, slot: { name: db.slotName, active: true, walStatus: 'reserved' } });
  expect(told.endpoints).toEqual([
    expect.objectContaining({ id: webhookId, endpoint: hook.url, state: 'well', why: null, waiting: 0, dead: 0, inFlight: 0, failingSince: null }),
    expect.objectContaining({ id: failingId, endpoint: `${failing.url}?…`, why: expect.stringContaining('503') as string, waiting: 1, lastSuccessAt: null }),
    expect.objectContaining({ id: unverifiedId, state: 'verifying', why: expect.stringContaining('ECONNREFUSED') as string }),
  ]);
  expect(Date.parse(told.endpoints[0]?.lastSuccessAt ?? '')).toBeGreaterThan(Date.now() - 30_000);
  expect(Date.parse(told.endpoints[1]?.failingSince ?? '')).toBeGreaterThan(Date.now() - 30_000);
  expect(Date.parse(told.endpoints[1]?.nextAttemptAt ?? '')).toBeGreaterThan(Date.now());

  const { code, stdout } = await runCommand(asked, ['status']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^bridge {6}streaming, since 2\S+Z, version \d\S+ \(http:\/\/127\.0\.0\.1:\d+\)\nslot {8}\w+: in use, \d+ (kB|MB).* behind, .*wal_status reserved\ndeliveries {2}1 waiting, 0 dead\n\nid +endpoint +state +waiting +dead /u);
  expect(stdout).toMatch(new RegExp(`^${failingId} +${failing.url.replaceAll('.', '\\.')}\\?… .*503`, 'mu'));
  expect(stdout + JSON.stringify(told)).not.toMatch(/hidden/u);

  // The admin port may be elsewhere, and wants its token.
  expect((await status(env, '--admin', url)).bridge).toMatchObject({ url, fault: null });
  expect((await status({ ...asked, ADMIN_TOKEN: 'wrong' })).bridge).toMatchObject({ status: null, fault: 'it wants the ADMIN_TOKEN' });
});

test('without a bridge: what the database says, and why the process says nothing', async () => {
  const { db, env } = await createScene();
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  await db.query(`SELECT set_config('slackchat_bridge.own_write', 'on', false); INSERT INTO slackchat_bridge.webhooks (endpoint, enabled, verified, last_error, disabled_reason) VALUES
    ('http://a.example/', true, false, NULL, NULL), ('http://b.example/', false, true, '410', 'it answered 410 Gone'), ('http://c.example/', true, true, 'time-out', NULL)`);
  await db.query(`INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, status, next_attempt_at)
    SELECT id, 'n' || s, 'l' || s, '0/1', 0, 'c', '{}', s, CASE s WHEN 'waiting' THEN timestamptz '2030-01-01 12:00+00' END FROM slackchat_bridge.webhooks, unnest(ARRAY['waiting', 'dead']) s WHERE endpoint = 'http://c.example/'`);
  const server = createServer();
  const port = await listenOnFreePort(server);
  server.close();
  const told = await status({ ...env, ADMIN_PORT: String(port) });
  expect(told).toMatchObject({ code: 0, bridge: { status: null, fault: expect.stringContaining('ECONNREFUSED') as string }, slot: { name: db.slotName, active: false }, databaseFault: null });
  expect(told.endpoints.map(({ endpoint, state, why }) => `${endpoint} ${state}: ${why ?? ''}`)).toEqual([
    'http://a.example/ unverified: it was not challenged yet',
    'http://b.example/ disabled: it answered 410 Gone',
    'http://c.example/ failing: time-out',
  ]);
  expect(told.endpoints[2]).toMatchObject({ waiting: 1, dead: 1, nextAttemptAt: '2030-01-01T12:00:00.000Z', inFlight: null });
  const { stdout } = await runCommand(env, ['status']);
  expect(stdout).toContain('bridge      not known: not asked: ADMIN_PORT does not say where it answers\n');
  expect(stdout).toContain('not in use');
});

test('before setup, without a server and with wrong usage it says so', async () => {
  const { env } = await createScene();
  const before = await status(env);
  expect(before).toMatchObject({ code: 1, databaseFault: expect.stringContaining('run slackchat-bridge setup') as string, endpoints: [] });
  const server = createServer();
  const port = await listenOnFreePort(server);
  server.close();
  const away = await runCommand({ ...env, DATABASE_URL: `postgres://u:hidden-password@127.0.0.1:${port}/d` }, ['status']);
  expect(away).toMatchObject({ code: 1, stderr: expect.stringMatching(/^slackchat-bridge: the database does not answer: .*ECONNREFUSED.*\n$/u) as string });
  expect(away.stdout + away.stderr).not.toContain('hidden-password');
  expect((await runCommand(env, ['status', '--admin', 'ftp://x'])).code).toBe(2);
  expect((await runCommand({ ...env, ADMIN_PORT: 'x' }, ['status'])).code).toBe(2);
});
