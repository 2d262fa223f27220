import { Webhook } from 'standardwebhooks';
import { expect, onTestFinished, test } from 'vitest';
import { insertChannel, insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { createScene, runningScene, told, waitConfirmed, waitVerified } from '../support/scene.js';
import { startReceiver } from '../support/receiver.js';

test.each(['plain', 'quoted', 'json'] as const)('a challenge echoed as %s verifies; nothing else is sent before', async (form) => {
  const scene = await createScene();
  scene.hook.challenge = form;
  await scene.start();
  await insertMessage(scene.db.pool, { channelId: scene.chat.channelId, userId: scene.chat.userIds[0] });
  await waitConfirmed(scene.db);
  const id = await scene.register(scene.hook.url);
  expect(scene.hook.notifications).toEqual([]);
  expect(scene.hook.requests[0]?.body).toEqual({ token: 'test-token', type: 'url_verification', challenge: expect.stringMatching(/^[0-9a-f]{32,}$/u) as string });
  const [row] = await scene.db.query('SELECT verified_at IS NOT NULL AS at FROM slackchat_bridge.webhooks WHERE id = $1', [id]);
  expect(row).toEqual({ at: true });
});

test('an endpoint that does not echo the challenge gets nothing, says why, and is challenged again when its row is saved', async () => {
  const { db, chat, hook, start } = await createScene();
  hook.challenge = 'wrong';
  await start();
  const [{ id = '' } = {}] = await db.query<{ id: string }>('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1) RETURNING id', [hook.url]);
  await eventually(async () => {
    const [row] = await db.query('SELECT verified, last_error FROM slackchat_bridge.webhooks');
    expect(row).toEqual({ verified: false, last_error: expect.stringContaining('body is not the challenge') as string });
  });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'unheard' });
  await waitConfirmed(db);
  expect(hook.requests).toHaveLength(1);
  hook.challenge = 'plain';
  await db.query('UPDATE slackchat_bridge.webhooks SET endpoint = endpoint');
  await waitVerified(db, id);
  expect(hook.requests[0]?.body.challenge).not.toBe(hook.requests[1]?.body.challenge);
});

test('a verification that fails for a while (503) is tried again by itself', async () => {
  const { hook, register, start } = await createScene();
  let refusals = 2;
  hook.challenge = ({ body }) => (refusals-- > 0 ? { status: 503 } : { status: 200, body: body.challenge ?? '' });
  await start();
  await register(hook.url);
  expect(hook.requests).toHaveLength(3);
});

test('re-saving a verified row sends nothing; a new endpoint or token, unticking it, and verify() do', async () => {
  const { db, hook, webhookId } = await runningScene();
  const challenges = (): number => hook.requests.filter(({ body }) => body.type === 'url_verification').length;
  await db.query("UPDATE slackchat_bridge.webhooks SET chat_types = '{default}'");
  await waitConfirmed(db);
  expect(challenges()).toBe(1);
  for (const [index, sql] of [
    "UPDATE slackchat_bridge.webhooks SET token = 'other'",
    'UPDATE slackchat_bridge.webhooks SET verified = false',
    "UPDATE slackchat_bridge.webhooks SET endpoint = endpoint || '/elsewhere'",
    'SELECT slackchat_bridge.verify(id) FROM slackchat_bridge.webhooks',
  ].entries()) {
    await db.query(sql);
    await hook.waitFor(({ body }) => body.type === 'url_verification', { count: index + 2 });
    await waitVerified(db, webhookId);
  }
  expect(hook.requests.at(-1)).toMatchObject({ path: '/hook/elsewhere', body: { token: 'other' } });
});

test('only the bridge can say that an endpoint is verified', async () => {
  const { db } = await runningScene();
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint, verified, enabled) VALUES ('http://127.0.0.1:1/', true, false)");
  await db.query("UPDATE slackchat_bridge.webhooks SET verified = true WHERE endpoint = 'http://127.0.0.1:1/'");
  const [row] = await db.query("SELECT verified FROM slackchat_bridge.webhooks WHERE endpoint = 'http://127.0.0.1:1/'");
  expect(row).toEqual({ verified: false });
});

test('chat_types and update_types choose what an endpoint gets', async () => {
  const { db, chat, hook, register } = await runningScene();
  const [{ id: chatTypeId = 0 } = {}] = await db.query<{ id: number }>("INSERT INTO slackchat_chattype (name, publish_path, render_to_html, kwargs_in_threads) VALUES ('debate', '/', false, false) RETURNING id");
  const debate = await insertChannel(db.pool, { chatTypeId, ownerId: chat.userIds[0] });
  const deletions = await startReceiver();
  onTestFinished(async () => deletions.close());
  const debates = await startReceiver();
  onTestFinished(async () => debates.close());
  await register(deletions.url, { update_types: ['message_deleted'] });
  await register(debates.url, { chat_types: ['debate'] });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'a' });
  await insertMessage(db.pool, { channelId: debate, userId: chat.userIds[0], text: 'b' });
  await db.query('DELETE FROM slackchat_message');
  await waitConfirmed(db);
  expect(told(hook.notifications).sort()).toEqual(['message_created a', 'message_created b', 'message_deleted a', 'message_deleted b']);
  expect(told(deletions.notifications).sort()).toEqual(['message_deleted a', 'message_deleted b']);
  expect(told(debates.notifications)).toEqual(['message_created b', 'message_deleted b']);
});

test('an endpoint that is removed or disabled gets nothing more', async () => {
  const { db, chat, hook, register } = await runningScene();
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  await register(other.url);
  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = false WHERE endpoint = $1', [other.url]);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'a' });
  await db.query('DELETE FROM slackchat_bridge.webhooks WHERE endpoint = $1', [hook.url]);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'b' });
  await waitConfirmed(db);
  expect(other.notifications).toEqual([]);
  expect(told(hook.notifications)).not.toContain('message_created b');
});

test('requests are signed by Standard Webhooks, with both secrets while one is rotated out', async () => {
  const secrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'] as const;
  const { db, chat, hook, start, register } = await createScene();
  await start();
  await register(hook.url, { secret: secrets.join(' ') });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0] });
  const [got] = await hook.waitForNotifications(1);
  const headers = Object.fromEntries(Object.entries(got?.headers ?? {}).map(([name, value]) => [name, String(value)]));
  for (const secret of secrets) expect(() => new Webhook(secret).verify(got?.rawBody ?? '', headers)).not.toThrow();
  expect(() => new Webhook('whsec_AAAA').verify(got?.rawBody ?? '', headers)).toThrow();
});

test.each([
  ['ftp://example.org/', 'endpoint_must_be_an_http_or_https_url'],
  ['not a url', 'endpoint_must_be_an_http_or_https_url'],
  ['http://', 'endpoint_must_be_an_http_or_https_url'],
  ['https://user:pass@example.org/', 'endpoint_must_not_contain_credentials'],
])('the table refuses the endpoint %s by %s', async (endpoint, rule) => {
  const { db } = await runningScene();
  await expect(db.query('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1)', [endpoint])).rejects.toThrow(rule);
});

test('the table refuses unknown update types, orders and secrets, and takes addresses with ports, queries and IPv6', async () => {
  const { db } = await runningScene();
  const insert = async (column: string, value: unknown): Promise<unknown> =>
    db.query(`INSERT INTO slackchat_bridge.webhooks (endpoint, enabled, ${column}) VALUES ('http://example.org/' || random(), false, $1)`, [value]);
  await expect(insert('update_types', ['message_added'])).rejects.toThrow('update_types_must_be');
  await expect(insert('ordering', 'none')).rejects.toThrow('ordering_must_be_message_or_channel');
  await expect(insert('secret', 'plain')).rejects.toThrow('secret_must_be');
  await expect(insert('max_in_flight', 0)).rejects.toThrow('max_in_flight_must_be');
  for (const endpoint of ['http://[::1]:8080/x?y=1#z', 'https://example.org', 'HTTP://EXAMPLE.org:80', 'http://10.0.0.1/a@b']) {
    await db.query('INSERT INTO slackchat_bridge.webhooks (endpoint, enabled) VALUES ($1, false)', [endpoint]);
  }
});

test('a metadata address is refused, and the row says why', async () => {
  const { db, start } = await createScene();
  await start();
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://169.254.169.254/latest/')");
  await eventually(async () => {
    const [row] = await db.query('SELECT verified, last_error FROM slackchat_bridge.webhooks');
    expect(row).toEqual({ verified: false, last_error: expect.stringContaining('169.254.169.254 is a linkLocal address') as string });
  });
});
