import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { runCommand } from '../support/process.js';
import { startReceiver } from '../support/receiver.js';
import { createScene } from '../support/scene.js';
import { startProxy } from '../support/tcp-proxy.js';

/** Each can be found again wherever it turns up, whole or in a part of a line. */
const SECRETS = {
  WEBHOOK_VERIFICATION_TOKEN: 'verification-5up3r',
  ADMIN_TOKEN: 'admin-5up3r',
  'token of an endpoint': 'endpoint-5up3r',
  'secret of an endpoint': 'NXVwM3JzZWNyZXQ1dXAzcnNlY3JldA==',
  'query of an endpoint': 'query-5up3r',
  'fragment of an endpoint': 'fragment-5up3r',
} as const;

test('no secret is in anything that a run writes or shows, whatever fails', async () => {
  const scene = await createScene({
    env: {
      WEBHOOK_VERIFICATION_TOKEN: SECRETS.WEBHOOK_VERIFICATION_TOKEN, ADMIN_TOKEN: SECRETS.ADMIN_TOKEN, LOG_LEVEL: 'trace',
      RETRY_BASE_MS: '20', RETRY_MAX_MS: '40', REQUEST_TIMEOUT_MS: '500', EGRESS_DENY: '127.0.0.7',
    },
  });
  const { db, chat, hook } = scene;
  const proxy = await startProxy(Number(new URL(db.url).port));
  onTestFinished(async () => proxy.close());
  const bridge = await scene.start({ DATABASE_URL: db.urlVia(proxy.port) });

  const suffix = `?key=${SECRETS['query of an endpoint']}#${SECRETS['fragment of an endpoint']}`;
  const columns = { token: SECRETS['token of an endpoint'], secret: `whsec_${SECRETS['secret of an endpoint']}` };
  const add = async (endpoint: string): Promise<unknown> => db.query('INSERT INTO slackchat_bridge.webhooks (endpoint, token, secret) VALUES ($1, $2, $3)', [endpoint, columns.token, columns.secret]);
  await scene.register(hook.url + suffix, columns);
  // Verified, and then each fails in its own way; what it answers holds all that it was told.
  const failing = [];
  for (const answer of [
    { status: 500 }, { status: 429, headers: { 'retry-after': '1' } }, { status: 307, headers: { location: `http://127.0.0.1:1/${suffix}` } },
    { status: 200, destroy: true }, { status: 200, delayUntil: new Promise(() => undefined) }, { status: 410 },
  ]) {
    const receiver = await startReceiver({ respond: ({ rawBody }) => ({ body: rawBody, ...answer }) });
    onTestFinished(async () => receiver.close());
    await scene.register(receiver.url + suffix, columns);
    failing.push(receiver);
  }
  // Never verified.
  const wrong = await startReceiver({ challenge: ({ rawBody, headers }) => ({ status: 200, body: `no: ${rawBody} ${JSON.stringify(headers)}` }) });
  onTestFinished(async () => wrong.close());
  for (const address of [wrong.url, 'http://127.0.0.1:1/', 'http://127.0.0.7/', 'http://169.254.169.254/', 'http://no-such-host.invalid/', `https://127.0.0.1:${hook.port}/`, 'http://999.999.999.999/']) await add(address + suffix);
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.webhooks WHERE last_error IS NOT NULL AND NOT verified')).toHaveLength(7));

  for (const text of ['a', 'b', 'c']) await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
  await hook.waitForNotifications(3);
  await eventually(async () => {
    expect((await db.query("SELECT DISTINCT webhook_id FROM slackchat_bridge.deliveries WHERE last_error IS NOT NULL")).length).toBe(failing.length - 1);
    expect(await db.query('SELECT FROM slackchat_bridge.webhooks WHERE disabled_reason IS NOT NULL')).toHaveLength(1);
  });
  await db.query('SELECT slackchat_bridge.republish($1)', [chat.channelId]);
  await hook.waitFor(({ body }) => body.type === 'republish_request');
  proxy.cut();
  await bridge.waitForLog(({ msg }) => msg.startsWith('the replication stream broke'));
  await eventually(async () => expect((await fetch(`${await bridge.adminUrl()}/readyz`)).status).toBe(200));

  const shown = new Map<string, string>();
  for (const path of ['/', '/healthz', '/readyz', '/metrics', '/api/status', '/nothing']) {
    for (const authorization of ['', `Bearer ${SECRETS.ADMIN_TOKEN}`]) {
      const response = await fetch((await bridge.adminUrl()) + path, { headers: { authorization } });
      shown.set(`${path} ${authorization === '' ? 'without' : 'with'} token`, JSON.stringify([...response.headers]) + (await response.text()));
    }
  }
  for (const args of [['status'], ['status', '--json'], ['webhooks', 'list'], ['webhooks', 'list', '--json'], ['deliveries', 'list'], ['deliveries', 'list', '--json'], ['doctor'], ['doctor', '--json']]) {
    const { stdout, stderr } = await runCommand({ ...scene.env, ADMIN_PORT: new URL(await bridge.adminUrl()).port }, args);
    shown.set(args.join(' '), stdout + stderr);
    expect(stdout.length, args.join(' ')).toBeGreaterThan(20);
  }
  await bridge.stop();
  shown.set('log', bridge.stdout);
  shown.set('stderr', bridge.stderr);
  for (const [part, value] of [['password', 'wrong-5up3r'], ['hostname', 'no-such-host.invalid'], ['pathname', '/no_such_database']] as const) {
    const url = new URL(db.url);
    url[part] = value;
    const { stdout, stderr } = await runCommand({ ...scene.env, DATABASE_URL: url.href }, ['doctor']);
    shown.set(`doctor, wrong ${part}`, stdout + stderr);
  }
  const rows = await db.query('SELECT last_error, disabled_reason FROM slackchat_bridge.webhooks UNION ALL SELECT last_error, body FROM slackchat_bridge.deliveries');
  expect(rows.length).toBeGreaterThan(20);
  shown.set('tables', JSON.stringify(rows));

  const secrets = { ...SECRETS, 'password of the database': new URL(db.url).password, 'wrong password': 'wrong-5up3r' };
  for (const [where, text] of shown) {
    for (const [what, secret] of Object.entries(secrets)) if (secret !== '') expect(text.includes(secret), `the ${what} in ${where}`).toBe(false);
  }
  expect(bridge.stdout).toContain('attempt failed');
  expect(bridge.logs.some(({ msg }) => msg === 'delivered')).toBe(true);
}, 90_000);
