import { createServer } from 'node:net';
import { Client } from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startPostgres, type PostgresServer } from '../../src/demo/postgres.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { bridgeEnv, runCommand, startBridge } from '../support/process.js';
import { createScene, runningScene, type Scene } from '../support/scene.js';
import { listenOnFreePort } from '../support/port.js';

// Each starts several processes, one after the other, which a busy machine takes its time for.
vi.setConfig({ testTimeout: 90_000 });

interface Check {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly fix: string | null;
}
interface Result {
  readonly code: number | null;
  readonly stderr: string;
  readonly stdout: string;
  readonly platform: string | null;
  readonly checks: readonly Check[];
  /** all of that name */
  readonly of: (name: string) => readonly Check[];
  readonly failed: readonly string[];
}

async function doctor(env: Readonly<Record<string, string>>): Promise<Result> {
  const { code, stdout, stderr } = await runCommand(env, ['doctor', '--json']);
  const { platform, checks } = JSON.parse(stdout) as { platform: string | null; checks: readonly Check[] };
  return { code, stdout, stderr, platform, checks, of: (name) => checks.filter((check) => check.name === name), failed: [...new Set(checks.filter(({ status }) => status === 'failure').map(({ name }) => name))] };
}

async function setUpScene(): Promise<Scene> {
  const scene = await createScene();
  expect((await runCommand(scene.env, ['setup'])).code).toBe(0);
  return scene;
}

async function ownServer(settings: Readonly<Record<string, string>>): Promise<{ server: PostgresServer; db: TestDatabase; env: Record<string, string> }> {
  const server = await startPostgres({ settings });
  onTestFinished(async () => server.dispose());
  const db = await createDatabase({ serverUrl: server.url() });
  onTestFinished(async () => db.drop());
  return { server, db, env: bridgeEnv(db) };
}

test('a database that is not set up: everything is looked at, setup is named, and setup mends it', async () => {
  const { env } = await createScene();
  const before = await doctor(env);
  expect(before.code).toBe(1);
  expect(before.failed).toEqual(['schema', 'publication', 'replica_identity', 'slot']);
  for (const name of before.failed) expect(before.of(name)[0]?.fix).toContain('slackchat-bridge setup');
  await runCommand(env, ['setup']);
  const after = await doctor(env);
  expect(after).toMatchObject({ code: 0, failed: [], stderr: '', platform: 'self-managed' });
});

test('a bridge that runs with a verified endpoint is well, and doctor changes nothing', async () => {
  const { db, env } = await runningScene();
  const rows = async (): Promise<unknown> => db.query('SELECT w.*, w.xmin::text FROM slackchat_bridge.webhooks w');
  const before = await rows();
  const result = await doctor(env);
  expect(result).toMatchObject({ code: 0, failed: [] });
  expect(result.of('slot')).toEqual([{ name: 'slot', status: 'ok', detail: `"${db.slotName}" is in use`, fix: null }]);
  expect(result.of('endpoints')).toEqual([{ name: 'endpoints', status: 'ok', detail: '1 of 1 verified and well', fix: null }]);
  expect(await rows()).toEqual(before);
  const text = await runCommand(env, ['doctor']);
  expect(text.stdout).toMatch(/^ok {7}wal_level: logical$/mu);
  expect(text.stdout).toMatch(/ ok, \d+ warnings, 0 failures\n$/u);
});

test.each([
  { what: 'a wrong password', change: (url: URL) => (url.password = 'hunter2secret'), detail: /password authentication failed/u, fix: /password in DATABASE_URL/u },
  { what: 'a database that is not there', change: (url: URL) => (url.pathname = '/nowhere'), detail: /database "nowhere" does not exist/u, fix: /database name/u },
])('$what fails with what to mend, and shows no password', async ({ change, detail, fix }) => {
  const { env } = await createScene();
  const url = new URL(env['DATABASE_URL'] ?? '');
  change(url);
  const result = await doctor({ ...env, DATABASE_URL: url.href });
  expect(result).toMatchObject({ code: 1, failed: ['connection'] });
  expect(result.of('connection')[0]?.detail).toMatch(detail);
  expect(result.of('connection')[0]?.fix).toMatch(fix);
  expect(result.stdout + result.stderr).not.toContain(url.password);
});

test('a server that is not there fails the connection', async () => {
  const server = createServer();
  const port = await listenOnFreePort(server);
  server.close();
  const result = await doctor({ DATABASE_URL: `postgres://u:p@127.0.0.1:${port}/d`, WEBHOOK_VERIFICATION_TOKEN: 't' });
  expect(result).toMatchObject({ code: 1, failed: ['connection'] });
  expect(result.of('connection')[0]).toMatchObject({ detail: expect.stringContaining('ECONNREFUSED') as string, fix: expect.stringContaining('start the server') as string });
});

test('settings that are not accepted end with status 2, the database is looked at all the same', async () => {
  const { env } = await setUpScene();
  const result = await doctor({ ...env, SETTLE_MS: 'soon' });
  expect(result).toMatchObject({ code: 2, failed: ['settings'] });
  expect(result.of('settings')[0]?.detail).toContain('SETTLE_MS');
  expect(result.of('wal_level')).toHaveLength(1);
  expect(await doctor({ DATABASE_URL: 'mysql://u:geheim@h/d' })).toMatchObject({ code: 2, failed: ['settings'] });
  expect(await doctor({ ...env, DATABASE_URL: `${env['DATABASE_URL']}?sslmode=maybe` })).toMatchObject({ code: 2, failed: ['settings'] });
});

test('a token that is not set here is no fault, but is said where an endpoint needs it', async () => {
  const { db, env } = await setUpScene();
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:1/')");
  const { WEBHOOK_VERIFICATION_TOKEN: _token, ...without } = env;
  const result = await doctor(without);
  expect(result).toMatchObject({ code: 0, failed: [] });
  expect(result.of('token')[0]?.status).toBe('warning');
});

test.each([
  { service: 'self-managed', settings: {}, fix: "ALTER SYSTEM SET wal_level = 'logical'" },
  { service: 'Amazon RDS', settings: { 'rds.logical_replication': 'off' }, fix: 'rds.logical_replication = 1' },
])('wal_level replica fails with the setting of $service', async ({ service, settings, fix }) => {
  const { env } = await ownServer({ wal_level: 'replica', ...settings });
  const result = await doctor(env);
  expect(result).toMatchObject({ code: 1, platform: service });
  expect(result.failed).toContain('wal_level');
  expect(result.of('wal_level')[0]?.fix).toContain(fix);
});

test('no free slot fails, until there is one', async () => {
  const { db, env } = await ownServer({ max_replication_slots: '1' });
  await db.query("SELECT pg_create_physical_replication_slot('somebody')");
  const full = await doctor(env);
  expect(full.failed).toContain('max_replication_slots');
  expect(full.of('max_replication_slots')[0]?.fix).toMatch(/max_replication_slots = '6'.*not active: somebody/u);
  await db.query("SELECT pg_drop_replication_slot('somebody')");
  expect((await doctor(env)).failed).not.toContain('max_replication_slots');
});

test('no walsender fails both the count and the attempt', async () => {
  const { env } = await ownServer({ max_wal_senders: '0' });
  const result = await doctor(env);
  expect(result.failed).toEqual(expect.arrayContaining(['max_wal_senders', 'replication']));
  expect(result.of('max_wal_senders')[0]?.fix).toContain("ALTER SYSTEM SET max_wal_senders = '5'");
});

test('settings of the server that make notifications late, doubtful or dangerous are warned of', async () => {
  const { db, env } = await ownServer({ max_slot_wal_keep_size: '1GB', wal_sender_timeout: '0', synchronous_commit: 'off' });
  await runCommand(env, ['setup']);
  await db.query("ALTER SYSTEM SET synchronous_standby_names = 'absent'");
  await db.query('SELECT pg_reload_conf()');
  const result = await eventually(async () => {
    const seen = await doctor(env);
    expect(seen.of('synchronous_standby_names')[0]?.status).toBe('warning');
    return seen;
  });
  expect(result.code).toBe(0);
  expect(result.of('wal_sender_timeout')[0]).toMatchObject({ status: 'warning', fix: expect.stringContaining("wal_sender_timeout = '60s'") as string });
  expect(result.of('synchronous_standby_names')[0]).toMatchObject({ detail: expect.stringContaining('none is connected') as string });
  expect(result.of('synchronous_commit')[0]).toMatchObject({ status: 'warning', fix: expect.stringContaining("synchronous_commit = 'on'") as string });
  await db.query('ALTER SYSTEM RESET ALL');
});

test('synchronous_commit off for one role is found, and the statement that mends it does', async () => {
  const { db, env } = await setUpScene();
  const role = `async "${db.name}`;
  await db.query(`CREATE ROLE "async ""${db.name}"`);
  onTestFinished(async () => {
    await db.query(`DROP ROLE "async ""${db.name}"`);
  });
  await db.query(`ALTER ROLE "async ""${db.name}" IN DATABASE ${db.name} SET synchronous_commit = off`);
  const found = (await doctor(env)).of('synchronous_commit')[0];
  expect(found?.detail).toContain(role);
  expect(found?.status).toBe('warning');
  await db.query(found?.fix ?? '');
  expect((await doctor(env)).of('synchronous_commit')[0]?.status).toBe('ok');
});

test('a role without any privilege is told of each that it lacks, and the statements given mend them', async () => {
  const { db, env } = await setUpScene();
  const role = `bare_${db.name}`;
  await db.query(`CREATE ROLE ${role} LOGIN PASSWORD 'pw'`);
  onTestFinished(async () => {
    await db.query(`DROP OWNED BY ${role}`);
    await db.query(`DROP ROLE ${role}`);
  });
  const url = new URL(env['DATABASE_URL'] ?? '');
  url.username = role;
  url.password = 'pw';
  const bare = { ...env, DATABASE_URL: url.href };
  const before = await doctor(bare);
  expect(before.code).toBe(1);
  expect(before.failed).toEqual(['replication', 'privileges_chat_tables', 'privileges_own_schema', 'schema']);
  // The rest is seen all the same.
  for (const name of ['publication', 'replica_identity', 'wal_level']) expect(before.of(name)[0]?.status).toBe('ok');
  expect(before.of('slot')[0]?.detail).toContain('is not in use');
  const sql = (name: string): string => before.of(name)[0]?.fix?.replace(/^.*or: /u, '').replace(/ {2}-- .*$/u, '') ?? '';
  for (const name of ['replication', 'privileges_chat_tables', 'privileges_own_schema', 'privileges_functions']) await db.query(sql(name));
  const after = await doctor(bare);
  expect(after).toMatchObject({ code: 0, failed: [] });
});

test('row-level security that hides rows fails', async () => {
  const { db, env } = await setUpScene();
  const role = `filtered_${db.name}`;
  await db.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw'`);
  onTestFinished(async () => {
    await db.query(`DROP OWNED BY ${role}`);
    await db.query(`DROP ROLE ${role}`);
  });
  await runCommand(env, ['setup', '--grant', role]);
  await db.query('ALTER TABLE slackchat_message ENABLE ROW LEVEL SECURITY');
  const url = new URL(env['DATABASE_URL'] ?? '');
  url.username = role;
  url.password = 'pw';
  const filtered = { ...env, DATABASE_URL: url.href };
  const found = (await doctor(filtered)).of('row_level_security')[0];
  expect(found).toMatchObject({ status: 'failure', detail: expect.stringContaining('public.slackchat_message') as string });
  await db.query(found?.fix?.replace(/ {2}-- .*$/u, '') ?? '');
  expect(await doctor(filtered)).toMatchObject({ code: 0, failed: [] });
});

test.each([
  { what: 'a table dropped from the publication', sql: 'ALTER PUBLICATION slackchat_bridge DROP TABLE slackchat_reaction', check: 'publication', detail: /lacks public\.slackchat_reaction/u },
  { what: 'a publication of inserts only', sql: "ALTER PUBLICATION slackchat_bridge SET (publish = 'insert')", check: 'publication', detail: /every kind of change/u },
  { what: 'a row filter', sql: 'ALTER PUBLICATION slackchat_bridge DROP TABLE slackchat_message; ALTER PUBLICATION slackchat_bridge ADD TABLE slackchat_message WHERE (id > 5)', check: 'publication', detail: /only rows with \(id > 5\)/u },
  { what: 'a column list', sql: 'ALTER PUBLICATION slackchat_bridge DROP TABLE slackchat_user; ALTER PUBLICATION slackchat_bridge ADD TABLE slackchat_user (id)', check: 'publication', detail: /columns api_id are not published/u },
  { what: 'a replica identity taken back', sql: 'ALTER TABLE slackchat_message REPLICA IDENTITY DEFAULT', check: 'replica_identity', detail: /public\.slackchat_message/u },
])('$what fails, and what is given mends it', async ({ sql, check, detail }) => {
  const { db, env } = await setUpScene();
  await db.query(sql);
  const found = await doctor(env);
  expect(found).toMatchObject({ code: 1, failed: [check] });
  expect(found.of(check)[0]?.detail).toMatch(detail);
  await db.query(found.of(check)[0]?.fix?.replace(/^.*# or: /u, '') ?? '');
  expect(await doctor(env)).toMatchObject({ code: 0, failed: [] });
});

test('a slot that was dropped, or belongs to something else, fails', async () => {
  const { db, env } = await setUpScene();
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  const dropped = await doctor(env);
  expect(dropped).toMatchObject({ code: 1, failed: ['slot'] });
  expect(dropped.of('slot')[0]?.detail).toContain('is lost');
  await db.query("SELECT pg_create_logical_replication_slot($1, 'test_decoding')", [db.slotName]).catch(async () => db.query('SELECT pg_create_physical_replication_slot($1)', [db.slotName]));
  const other = await doctor(env);
  expect(other.failed).toEqual(['slot']);
  expect(other.of('slot')[0]?.fix).toContain('SLOT_NAME');
});

test('a slot that falls behind is warned of before it is lost, and fails when it is', async () => {
  const { db, env } = await ownServer({ max_slot_wal_keep_size: '48MB', max_wal_size: '64MB', min_wal_size: '32MB' });
  await runCommand(env, ['setup']);
  const fill = async (megabytes: number): Promise<void> => {
    for (let written = 0; written < megabytes; written += 4) await db.query("SELECT pg_logical_emit_message(true, 'fill', repeat(md5(random()::text), 131072))");
  };
  await fill(44);
  const behind = await doctor(env);
  expect(behind.of('slot_lag')[0]).toMatchObject({ status: 'warning', fix: expect.stringContaining("max_slot_wal_keep_size = '96MB'") as string });
  for (let round = 0; round < 4; round += 1) {
    await fill(32);
    await db.query('SELECT pg_switch_wal()');
    await db.query('CHECKPOINT');
  }
  const lost = await doctor(env);
  expect(lost.failed).toEqual(['slot']);
  expect(lost.of('slot')[0]?.detail).toContain('is lost');
}, 60_000);

test('missing tables and columns fail with their names', async () => {
  const { db, env } = await setUpScene();
  await db.query('ALTER TABLE slackchat_message RENAME COLUMN text TO body');
  const column = await doctor(env);
  expect(column.of('chat_tables')[0]).toMatchObject({ status: 'failure', detail: expect.stringContaining('public.slackchat_message.text') as string });
  const elsewhere = await doctor({ ...env, TABLE_PREFIX: 'other_' });
  expect(elsewhere.of('chat_tables')[0]?.detail).toContain('table public.other_message does not exist');
});

test('a schema of a newer bridge fails, functions of an older one are warned of', async () => {
  const { db, env } = await setUpScene();
  await db.query("UPDATE slackchat_bridge.meta SET value = 'older' WHERE key = 'functions'");
  expect((await doctor(env)).of('schema')[0]).toMatchObject({ status: 'warning', fix: 'slackchat-bridge setup' });
  await db.query("INSERT INTO slackchat_bridge.migrations (version, name) VALUES (9999, 'future')");
  expect((await doctor(env)).of('schema')[0]).toMatchObject({ status: 'failure', fix: 'update the bridge' });
});

test('endpoints that are unverified, disabled, failing or told nothing say why', async () => {
  const { db, env } = await setUpScene();
  await db.query(`SELECT set_config('slackchat_bridge.own_write', 'on', false); INSERT INTO slackchat_bridge.webhooks (endpoint, enabled, verified, last_error, disabled_reason, deliver_from) VALUES
    ('http://a.example/?key=secret1', true, false, 'status 503', NULL, NULL), ('http://b.example/', false, true, NULL, '410 Gone', NULL),
    ('http://c.example/', true, true, 'time-out', NULL, NULL), ('http://d.example/', true, true, NULL, NULL, 'FFFFFFFF/FFFFFFFF'), ('http://e.example/', true, true, NULL, NULL, NULL)`);
  const result = await doctor(env);
  expect(result).toMatchObject({ code: 0, failed: [] });
  const said = result.of('endpoints').map(({ status, detail }) => `${status} ${detail}`);
  expect(said).toEqual([
    'ok 1 of 5 verified and well',
    expect.stringMatching(/^warning \d+ http:\/\/a\.example\/\?… is not verified.*status 503/u),
    expect.stringMatching(/^warning \d+ http:\/\/b\.example\/ is disabled: 410 Gone/u),
    expect.stringMatching(/^warning \d+ http:\/\/c\.example\/ fails: time-out/u),
    expect.stringMatching(/^warning \d+ http:\/\/d\.example\/ is told nothing/u),
  ]);
  expect(result.stdout).not.toContain('secret1');
});

test('dead deliveries are warned of', async () => {
  const { db, env } = await setUpScene();
  await db.query(`WITH hook AS (INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://a.example/') RETURNING id)
    INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, status) SELECT id, 'n', 'l', '0/1', 0, 'c', '{}', 'dead' FROM hook`);
  expect((await doctor(env)).of('dead_deliveries')[0]).toMatchObject({ status: 'warning', detail: '1 were given up', fix: expect.stringContaining('retry_all') as string });
});

test("verified rows of the application's own table are warned of, because receivers hear everything twice", async () => {
  const { db, env } = await setUpScene();
  await db.query("INSERT INTO slackchat_webhook (endpoint, verified) VALUES ('http://a.example/', true)");
  expect((await doctor(env)).of('application_webhooks')[0]).toMatchObject({ status: 'warning', detail: expect.stringContaining('twice') as string });
  await db.query('UPDATE slackchat_webhook SET verified = false');
  expect((await doctor(env)).of('application_webhooks')[0]?.status).toBe('ok');
});

test('every template that is in error is named with the reason, as the bridge finds it', async () => {
  const { db, chat, env } = await setUpScene();
  const add = async (search: string, content: string | null): Promise<number> => {
    const [row] = await db.query<{ id: number }>("INSERT INTO slackchat_customcontenttemplate (name, chat_type_id, search_string, content_template) VALUES ('t', $1, $2, $3) RETURNING id", [chat.chatTypeId, search, content]);
    return row?.id ?? 0;
  };
  await add('^(fine)', '{0}');
  expect((await doctor(env)).of('templates')).toEqual([{ name: 'templates', status: 'ok', detail: 'all 1 compile', fix: null }]);
  const pattern = await add('(unclosed', 'x');
  const format = await add('x', '{');
  const result = await doctor(env);
  expect(result).toMatchObject({ code: 0, failed: [] });
  expect(result.of('templates').map(({ status, detail, fix }) => `${status} ${detail} → ${fix ?? ''}`)).toEqual([
    expect.stringMatching(new RegExp(`^warning custom content template ${pattern} .*(unterminated|missing).* row ${pattern} of public.slackchat_customcontenttemplate$`, 'u')),
    expect.stringMatching(new RegExp(`^warning custom content template ${format} .*Single '\\{'.* row ${format} of `, 'u')),
  ]);
});

test('a table that somebody has locked is not waited for: what it would say is not checked, the rest is', async () => {
  const { db, env } = await setUpScene();
  const holder = await db.pool.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE slackchat_customcontenttemplate');
    const command = startBridge(env, ['doctor', '--json']);
    expect(await command.exited).toMatchObject({ code: 0 });
    const { checks } = JSON.parse(command.stdout) as { checks: readonly Check[] };
    expect(checks.find(({ name }) => name === 'templates')).toEqual({ name: 'templates', status: 'warning', detail: 'not checked: canceling statement due to lock timeout', fix: null });
    expect(checks.find(({ name }) => name === 'application_webhooks')?.status).toBe('ok');
    // It took more than a second, so it was said what is waited for; stdout has the result alone.
    expect(command.stderr).toMatch(/^looking at the database … \d+ s\n/u);
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
});

test('a clock that is ten minutes off is warned of', async () => {
  const { env } = await setUpScene();
  const off = `data:text/javascript,${encodeURIComponent('const now = Date.now; Date.now = () => now() + 600000;')}`;
  const result = await doctor({ ...env, NODE_OPTIONS: `--import=${off}` });
  expect(result.of('clock')[0]).toMatchObject({ status: 'warning', detail: expect.stringMatching(/^this machine is (599|600|601) s ahead of the server/u) as string });
});

test('where standbys follow: a slot that they may not copy, and a standby that is waited for and away, are named', async () => {
  const { db, env } = await ownServer({});
  await runCommand(env, ['setup']);
  expect((await doctor(env)).of('slot_failover')).toEqual([]);
  await db.query("SELECT pg_create_physical_replication_slot('copy')");
  await db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]);
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.slotName]);
  const [warned] = (await doctor(env)).of('slot_failover');
  expect(warned?.status).toBe('warning');
  const command = /'(ALTER_REPLICATION_SLOT .*)'$/u.exec(warned?.fix ?? '')?.[1] ?? '';
  // On a replication connection, as the command of the fix makes one.
  const connection = { connectionString: db.url, replication: 'database' };
  const walsender = new Client(connection);
  await walsender.connect();
  await walsender.query(command);
  await walsender.end();
  const well = await doctor(env);
  expect([well.of('slot_failover'), well.of('synchronized_standby_slots')]).toEqual([[], []]);
  await db.query("ALTER SYSTEM SET synchronized_standby_slots = 'copy'");
  await db.query('SELECT pg_reload_conf()');
  await eventually(async () => expect(await db.query('SHOW synchronized_standby_slots')).toEqual([{ synchronized_standby_slots: 'copy' }]));
  expect((await doctor(env)).of('synchronized_standby_slots')).toEqual([expect.objectContaining({ status: 'failure', detail: expect.stringContaining('no standby uses copy') as string })]);
});
