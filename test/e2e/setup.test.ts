import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { createDatabase } from '../support/database.js';
import { bridgeEnv, runCommand, startBridge } from '../support/process.js';
import { createScene, runningScene, waitVerified } from '../support/scene.js';

test('run without setup ends with status 1 and says what is missing and what to do', async () => {
  const { env } = await createScene();
  const { code, stderr } = await runCommand(env, ['run']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/replication slot "\w+" does not exist.*Run: slackchat-bridge setup/u);
});

test('a wrong password ends with status 1 and does not show it', async () => {
  const { env } = await createScene();
  const url = new URL(env['DATABASE_URL'] ?? '');
  url.password = 'hunter2secret';
  const { code, stderr, stdout } = await runCommand({ ...env, DATABASE_URL: url.href }, ['run']);
  expect(code).toBe(1);
  expect(stderr).toContain('password authentication failed');
  expect(stderr + stdout).not.toContain('hunter2secret');
});

test('wal_level replica ends with status 1 and says how to change it', async () => {
  const server = await startPostgres({ settings: { wal_level: 'replica' } });
  onTestFinished(async () => server.dispose());
  const db = await createDatabase({ serverUrl: server.url() });
  onTestFinished(async () => db.drop());
  for (const args of [['run', '--setup'], ['run'], ['setup']]) {
    const { code, stderr } = await runCommand(bridgeEnv(db), args);
    expect(code).toBe(1);
    expect(stderr).toContain("ALTER SYSTEM SET wal_level = 'logical'");
  }
});

test('wrong settings end with status 2, every fault named at once, no secret shown', async () => {
  const { code, stderr } = await runCommand({ DATABASE_URL: 'mysql://u:geheim@h/d', SETTLE_MS: 'soon', TIME_ZONE: 'Mars/Olympus', ADMIN_HOST: '0.0.0.0' }, ['run']);
  expect(code).toBe(2);
  for (const name of ['DATABASE_URL', 'SETTLE_MS', 'TIME_ZONE', 'WEBHOOK_VERIFICATION_TOKEN']) expect(stderr).toContain(name);
  expect(stderr).not.toContain('geheim');
});

test.each([[['nonsense']], [['run', '--nonsense']], [[]]])('wrong usage (%j) ends with status 2', async (args) => {
  expect((await runCommand({}, args)).code).toBe(2);
});

test.each([[['--help']], [['run', '--help']], [['setup', '--help']], [['--version']]])('%j ends with status 0', async (args) => {
  expect((await runCommand({}, args)).code).toBe(0);
});

test('setup twice changes nothing the second time; --print changes nothing at all, and what it prints does what setup does', async () => {
  const { db, env } = await createScene();
  const printed = await runCommand(env, ['setup', '--print']);
  expect(printed.code).toBe(0);
  expect(await db.query("SELECT to_regnamespace('slackchat_bridge') AS schema")).toEqual([{ schema: null }]);
  // As psql does: statement by statement where a transaction does not hold them together.
  const blocks = printed.stdout.split(/^-- needs: .*$/mu).slice(1).map((block) => block.replace(/\n-- [^\n]*\n*$/u, ''));
  expect(blocks.length).toBeGreaterThan(5);
  for (const block of blocks) await db.query(block);
  const second = await runCommand(env, ['setup']);
  expect(second).toMatchObject({ code: 0, stdout: 'nothing to do: the database is set up\n' });
  expect((await runCommand(env, ['setup', '--print'])).stdout).toContain('nothing to do');
});

test('two setups at once both succeed', async () => {
  const { db, env } = await createScene();
  const both = await Promise.all([runCommand(env, ['setup']), runCommand(env, ['setup'])]);
  expect(both.map(({ code, stderr }) => [code, stderr])).toEqual([[0, ''], [0, '']]);
  expect(await db.query('SELECT count(*)::int AS n FROM pg_replication_slots WHERE slot_name = $1', [db.slotName])).toEqual([{ n: 1 }]);
});

test('a replica identity that covers what is needed is left alone, and teardown puts the others back', async () => {
  const { db, env } = await createScene();
  await db.query('CREATE UNIQUE INDEX reaction_identity ON slackchat_reaction (id, message_id)');
  await db.query('ALTER TABLE slackchat_reaction REPLICA IDENTITY USING INDEX reaction_identity');
  const identities = async (): Promise<Record<string, unknown>> => {
    const rows = await db.query<{ name: string; kind: string }>("SELECT relname AS name, relreplident::text AS kind FROM pg_class WHERE relname IN ('slackchat_message', 'slackchat_reaction', 'slackchat_webhook')");
    return Object.fromEntries(rows.map(({ name, kind }) => [name, kind]));
  };
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  expect(await identities()).toEqual({ slackchat_message: 'f', slackchat_reaction: 'i', slackchat_webhook: 'd' });
  expect((await runCommand(env, ['teardown'])).code).toBe(2);
  expect((await runCommand(env, ['teardown', '--yes'])).code).toBe(0);
  expect(await identities()).toEqual({ slackchat_message: 'd', slackchat_reaction: 'i', slackchat_webhook: 'd' });
  expect(await db.query("SELECT to_regnamespace('slackchat_bridge')::text AS schema, (SELECT count(*)::int FROM pg_publication) AS publications, (SELECT count(*)::int FROM pg_replication_slots WHERE slot_name = $1) AS slots", [db.slotName])).toEqual([
    { schema: null, publications: 0, slots: 0 },
  ]);
});

test('a child told by an index identity is told as by a full one', async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  await db.query('CREATE UNIQUE INDEX reaction_identity ON slackchat_reaction (id, message_id)');
  await db.query('ALTER TABLE slackchat_reaction REPLICA IDENTITY USING INDEX reaction_identity');
  await scene.start();
  await scene.register(hook.url);
  const a = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'a' });
  const b = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'b' });
  await db.query(`INSERT INTO slackchat_reaction ("timestamp", reaction, message_id, user_id) VALUES (now(), 'fire', $1, $2)`, [a, chat.userIds[0]]);
  await db.query("UPDATE slackchat_reaction SET reaction = 'water'");
  await db.query('UPDATE slackchat_reaction SET message_id = $1', [b]);
  await db.query('DELETE FROM slackchat_reaction');
  const changed = await hook.waitFor(({ body }) => body.update_type === 'message_changed', { count: 5 });
  expect(changed.map(({ body }) => body.message?.content).sort()).toEqual(['a', 'a', 'a', 'b', 'b']);
});

test('setup never queues behind a long transaction: it gives up and says who holds the lock', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const db = await createDatabase({ serverUrl: server.url() });
  onTestFinished(async () => db.drop());
  const client = await db.pool.connect();
  await client.query('BEGIN');
  await client.query('LOCK TABLE slackchat_message IN ACCESS SHARE MODE');
  const { code, stderr } = await runCommand(bridgeEnv(db), ['setup']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/waited .* for a lock for deletes of public\.slackchat_message .* backend \d+ \(idle in transaction/u);
  await client.query('ROLLBACK');
  client.release();
  expect((await runCommand(bridgeEnv(db), ['setup'])).code).toBe(0);
  // Its tries alone take twenty seconds.
}, 90_000);

test('functions have a fixed search_path, run as their caller, and are executable by nobody but those granted', async () => {
  const { db, env } = await createScene();
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  const functions = "pg_proc p WHERE pronamespace = 'slackchat_bridge'::regnamespace";
  expect(await db.query(`SELECT proname FROM ${functions} AND ((prosecdef AND prorettype <> 'trigger'::regtype) OR NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog'])`)).toEqual([]);
  expect(await db.query(`SELECT proname FROM ${functions} AND prorettype <> 'trigger'::regtype AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))`)).toEqual([]);
  expect(await db.query("SELECT FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'slackchat_bridge' AND grantee = 0")).toEqual([]);
  expect(await db.query("SELECT relname FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'slackchat_bridge'::regnamespace AND grantee = 0")).toEqual([]);

  // Whoever calls them with a schema of their own first in the path gets what they are for.
  await db.query('CREATE SCHEMA evil');
  await db.query(`CREATE FUNCTION evil.json_build_object(VARIADIC "any") RETURNS json LANGUAGE internal AS 'json_build_object'`);
  await db.query(`CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$`);
  await db.query(`CREATE FUNCTION evil.pg_logical_emit_message(boolean, text, text) RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil'; END $$`);
  const client = await db.pool.connect();
  await client.query('SET search_path = evil, pg_catalog');
  await client.query("INSERT INTO slackchat_bridge.webhooks (endpoint, enabled) VALUES ('http://127.0.0.1/', false)");
  await client.query("INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body) VALUES (1, 'n', 'l', '0/1', 0, 'c', '{}')");
  for (const call of ['verify(1)', 'retry(1)', 'retry_all(1)', 'resync(1)', "purge('1 day')"]) await client.query(`SELECT slackchat_bridge.${call}`);
  client.release(true);
});

test('a role that owns nothing runs the bridge with what setup --grant gives it', async () => {
  const scene = await createScene();
  const { db, env, hook, chat } = scene;
  const role = `bridge_${db.name}`;
  await db.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw'`);
  onTestFinished(async () => {
    await db.query(`DROP OWNED BY ${role}`);
    await db.query(`DROP ROLE ${role}`);
  });
  expect((await runCommand(env, ['setup', '--grant', role])).code).toBe(0);
  const [privileges] = await db.query(
    `SELECT bool_and(has_function_privilege($1, p.oid, 'EXECUTE')) AS granted, bool_or(has_function_privilege('pg_monitor', p.oid, 'EXECUTE')) AS others
       FROM pg_proc p WHERE pronamespace = 'slackchat_bridge'::regnamespace AND prorettype <> 'trigger'::regtype`,
    [role],
  );
  expect(privileges).toEqual({ granted: true, others: false });
  const url = new URL(env['DATABASE_URL'] ?? '');
  url.username = role;
  url.password = 'pw';
  const bridge = startBridge({ ...env, DATABASE_URL: url.href }, ['run']);
  await bridge.waitReady();
  await scene.register(hook.url);
  hook.respond = (_request, attempt) => ({ status: attempt === 1 ? 500 : 200 });
  const id = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'a' });
  await db.query("UPDATE slackchat_message SET text = 'b' WHERE id = $1", [id]);
  await hook.waitFor(({ body, attempt }) => body.message?.content === 'b' && attempt === 2);
  await bridge.stop();
});

test('the admin port answers health, readiness, metrics and status, needs its token, and shows no secret', async () => {
  const scene = await runningScene({ env: { ADMIN_TOKEN: 'open-sesame', WEBHOOK_VERIFICATION_TOKEN: 'a-secret-token' } });
  const { db, chat, hook, bridge } = scene;
  await db.query("UPDATE slackchat_bridge.webhooks SET secret = 'whsec_c2VjcmV0c2VjcmV0', endpoint = endpoint || '?key=hidden'");
  await waitVerified(db, scene.webhookId);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0] });
  await hook.waitForNotifications(1);
  const url = await bridge.adminUrl();
  const get = async (path: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> => {
    const response = await fetch(url + path, { headers });
    return { status: response.status, text: await response.text() };
  };
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(200);
  expect((await get('/metrics')).status).toBe(401);
  const token = { authorization: 'Bearer open-sesame' };
  const metrics = await get('/metrics', token);
  expect(metrics.text).toMatch(/^slackchat_bridge_notifications_total\{kind="message_created"\} 1$/mu);
  const status = await get('/api/status', token);
  expect(JSON.parse(status.text)).toMatchObject({ state: 'streaming', endpoints: [{ verified: true }] });
  expect((await fetch(`${url}/api/status`, { method: 'POST', headers: token })).status).toBe(405);
  const everything = metrics.text + status.text + bridge.stdout + bridge.stderr;
  for (const secret of ['a-secret-token', 'open-sesame', 'whsec_', 'key=hidden', new URL(scene.env['DATABASE_URL'] ?? '').password]) expect(everything).not.toContain(secret);
});
