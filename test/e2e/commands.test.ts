import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { createDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { bridgeEnv, runCommand } from '../support/process.js';
import { startReceiver, type ReceivedRequest } from '../support/receiver.js';
import { createScene, runningScene, waitConfirmed, waitVerified, type Scene } from '../support/scene.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** @returns what the command wrote, having ended well */
async function run({ env }: Pick<Scene, 'env'>, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(env, args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

const refused = async ({ env }: Pick<Scene, 'env'>, ...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> => runCommand(env, args);
const types = (requests: readonly ReceivedRequest[]): string[] => requests.map(({ body }) => `${body.type ?? ''} ${body.channel ?? ''}`);

/** A message that the receiver refuses for good. */
async function deadDelivery(scene: Scene): Promise<string> {
  scene.hook.respond = () => ({ status: 500 });
  await insertMessage(scene.db.pool, { channelId: scene.chat.channelId, userId: scene.chat.userIds[0], text: 'poison' });
  const [dead] = await eventually(async () => {
    const rows = await scene.db.query<{ id: string }>("SELECT id::text AS id FROM slackchat_bridge.deliveries WHERE status = 'dead'");
    expect(rows).toHaveLength(1);
    return rows;
  });
  return dead?.id ?? '';
}

test('request-update and resync reach the endpoints that they are for', async () => {
  const scene = await runningScene();
  const { db, chat, hook, webhookId } = scene;
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  await scene.register(other.url);
  const notification = `update_notification ${chat.channelId}`;
  expect(await run(scene, 'request-update', chat.channelId)).toBe(`requested: request-update of channel ${chat.channelId}\n`);
  await hook.waitForNotifications(1);
  await other.waitForNotifications(1);
  expect(await run(scene, 'resync', webhookId)).toBe(`requested: resync of webhook ${webhookId}\n`);
  await hook.waitForNotifications(2);
  await waitConfirmed(db);
  expect(types(hook.notifications)).toEqual([notification, notification]);
  expect(types(other.notifications)).toEqual([notification]);
});

test('republish and unpublish make requests with the channel', async () => {
  const scene = await runningScene();
  const { chat, hook } = scene;
  expect(await run(scene, 'republish', chat.channelId)).toBe(`requested: republish of channel ${chat.channelId}\n`);
  await hook.waitForNotifications(1);
  expect(await run(scene, 'unpublish', chat.channelId)).toBe(`requested: unpublish of channel ${chat.channelId}\n`);
  await hook.waitForNotifications(2);
  expect(types(hook.notifications)).toEqual([`republish_request ${chat.channelId}`, `unpublish_request ${chat.channelId}`]);
});

test('webhooks add registers an endpoint that is then verified; list shows it without its secrets; verify challenges again; remove needs --yes', async () => {
  const scene = await runningScene();
  const { db } = scene;
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  const added = await run(scene, 'webhooks', 'add', `${other.url}?key=hidden-key`, '--token', 'hidden-token', '--secret', SECRET, '--chat-type', 'default', '--chat-type', 'b', '--update-type', 'message_created', '--ordering', 'channel', '--max-in-flight', '3', '--conflate');
  const id = /^added: webhook (?<id>\d+), /u.exec(added)?.groups?.['id'] ?? '';
  await waitVerified(db, id);
  expect(other.requests.map(({ body }) => body.token)).toEqual(['hidden-token']);

  const json = await run(scene, 'webhooks', 'list', '--json');
  const rows: unknown = JSON.parse(json);
  expect(rows).toEqual([
    expect.objectContaining({ id: scene.webhookId, endpoint: scene.hook.url, verified: true, own_token: false, signed: false, chat_types: null, ordering: 'message', max_in_flight: 64 }),
    expect.objectContaining({ id, endpoint: `${other.url}?…`, verified: true, own_token: true, signed: true, chat_types: ['default', 'b'], update_types: ['message_created'], ordering: 'channel', conflate: true, max_in_flight: 3, waiting: 0, dead: 0 }),
  ]);
  const text = await run(scene, 'webhooks', 'list');
  const [head, first] = text.split('\n');
  expect(head).toMatch(/^id +endpoint +enabled +verified +waiting +dead +disabled reason +last error$/u);
  expect(first?.indexOf(scene.hook.url)).toBe(head?.indexOf('endpoint'));
  for (const shown of [added, json, text]) expect(shown).not.toMatch(/hidden|whsec/u);

  await run(scene, 'webhooks', 'verify', id);
  await other.waitFor(({ body }) => body.type === 'url_verification', { count: 2 });

  const unsure = await refused(scene, 'webhooks', 'remove', id);
  expect(unsure.code).toBe(2);
  expect(unsure.stderr).toContain('give --yes');
  expect(await db.query('SELECT id::text FROM slackchat_bridge.webhooks ORDER BY id')).toHaveLength(2);
  expect(await run(scene, 'webhooks', 'remove', id, '--yes')).toBe(`removed: webhook ${id}, ${other.url}?…\n`);
  expect(await db.query('SELECT id::text FROM slackchat_bridge.webhooks')).toEqual([{ id: scene.webhookId }]);
  expect(await refused(scene, 'webhooks', 'remove', id, '--yes')).toEqual({ code: 1, stdout: '', stderr: `slackchat-bridge: there is no webhook ${id}\n` });
});

const MORTAL = { RETRY_BASE_MS: '10', RETRY_MAX_MS: '20', RETRY_MAX_AGE_MS: '1000' };

test('deliveries that died are listed and sent again', async () => {
  const scene = await runningScene({ env: MORTAL });
  const { db, hook, webhookId, chat } = scene;
  const none = async (): Promise<void> => eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]));
  const id = await deadDelivery(scene);
  const [json, waiting, text] = await Promise.all([
    run(scene, 'deliveries', 'list', '--json', '--status', 'dead', '--webhook', webhookId),
    run(scene, 'deliveries', 'list', '--status', 'waiting'),
    run(scene, 'deliveries', 'list'),
  ]);
  const rows: unknown = JSON.parse(json);
  expect(rows).toEqual([expect.objectContaining({ id, webhook_id: webhookId, channel_id: chat.channelId, status: 'dead', last_status: 500 })]);
  expect(waiting).toBe('no deliveries wait or are dead\n');
  expect(text).toMatch(/^id +webhook id +channel id .*\n.* dead .* 500 /u);
  for (const shown of [json, text]) expect(shown).not.toContain('poison');

  hook.respond = () => ({ status: 200 });
  hook.clear();
  expect(await run(scene, 'deliveries', 'retry', id)).toBe(`requested: retry of delivery ${id}\n`);
  await hook.waitForNotifications(1);
  await none();

  await deadDelivery(scene);
  hook.respond = () => ({ status: 200 });
  expect(await run(scene, 'deliveries', 'retry', '--webhook', webhookId)).toBe(`requested: retry of 1 deliveries of webhook ${webhookId}\n`);
  await none();
  expect(await run(scene, 'deliveries', 'list', '--json')).toBe('[]\n');
});

test('deliveries that died are purged by age, and only with --yes', async () => {
  const scene = await runningScene({ env: MORTAL });
  await deadDelivery(scene);
  expect(await run(scene, 'deliveries', 'purge', '30 days', '--yes')).toBe('removed: 0 dead deliveries\n');
  const unsure = await refused(scene, 'deliveries', 'purge', '0 days');
  expect(unsure.code).toBe(2);
  expect(unsure.stderr).toContain('give --yes');
  expect(await scene.db.query('SELECT FROM slackchat_bridge.deliveries')).toHaveLength(1);
  expect(await run(scene, 'deliveries', 'purge', '0 days', '--yes')).toBe('removed: 1 dead deliveries\n');
  expect(await scene.db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]);
});

test('a list that is cut says so', async () => {
  const scene = await runningScene();
  const { db, webhookId } = scene;
  await db.query(
    `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, status, last_error)
     SELECT $1, 'n' || i, 'l' || i, '0/1', i, 'c', '{}', 'dead', E'two\\nlines\\x1b[31m' FROM generate_series(1, 3) i`,
    [webhookId],
  );
  const { code, stdout, stderr } = await refused(scene, 'deliveries', 'list', '--limit', '2');
  expect({ code, lines: stdout.trimEnd().split('\n').length, stderr }).toEqual({ code: 0, lines: 3, stderr: 'slackchat-bridge: only the first 2 are shown; --limit shows more\n' });
  expect(stdout).toContain('two lines [31m');
});

test('before setup a command says that setup is what is missing', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const scene = { env: bridgeEnv(db) };
  await Promise.all([['request-update', 'c'], ['republish', 'c'], ['unpublish', 'c'], ['webhooks', 'list']].map(async (args) => {
    const { code, stdout, stderr } = await refused(scene, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^slackchat-bridge: this database is not set up for this version \(.*\): run slackchat-bridge setup\n$/u);
  }));
});

test('what the database refuses is one line without secrets, and status 1', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const scene = { env: bridgeEnv(db) };
  await run(scene, 'setup');
  const unknown = '00000000-0000-0000-0000-000000000000';
  const refusals: readonly (readonly [RegExp, readonly string[]])[] = [
    [new RegExp(`there is no channel ${unknown}`, 'u'), ['request-update', unknown]],
    [/there is no webhook 7/u, ['resync', '7']],
    [/there is no delivery 7/u, ['deliveries', 'retry', '7']],
    [/endpoint_must_be_an_http_or_https_url/u, ['webhooks', 'add', 'ftp://example.com/', '--secret', SECRET]],
    [/endpoint_must_not_contain_credentials/u, ['webhooks', 'add', 'https://me:hunter2@example.com/']],
    [/invalid input syntax for type interval: "soon"/u, ['deliveries', 'purge', 'soon', '--yes']],
  ];
  await Promise.all(refusals.map(async ([message, args]) => {
    const { code, stdout, stderr } = await refused(scene, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^slackchat-bridge: [^\n]+\n$/u);
    expect(stderr).not.toMatch(/whsec|hunter2/u);
  }));
});

test('wrong usage ends with status 2', async () => {
  const wrong = [['republish'], ['resync', 'x'], ['webhooks'], ['webhooks', 'nonsense'], ['webhooks', 'add', 'https://example.com/', '--ordering', 'x'], ['deliveries', 'retry'], ['deliveries', 'list', '--status', 'x']];
  await Promise.all(wrong.map(async (args) => expect([args, (await runCommand({}, args)).code]).toEqual([args, 2])));
});

test('whoever holds a lock on the tables for long, every command ends by itself, and says why', { timeout: 120_000 }, async () => {
  // Of its own: on the server that all share, no slot could be made while it holds the lock.
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const { db, env } = await createScene({ serverUrl: server.url() });
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  const holder = await db.pool.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE slackchat_bridge.webhooks, slackchat_bridge.deliveries, slackchat_bridge.meta, slackchat_bridge.migrations, slackchat_message, slackchat_chattype IN ACCESS EXCLUSIVE MODE');
  try {
    const commands = [['webhooks', 'list'], ['deliveries', 'list'], ['status'], ['doctor'], ['setup'], ['teardown', '--yes']];
    const ended = await Promise.all(commands.map(async (args) => ({ args, ...(await runCommand({ ...env, ADMIN_PORT: '' }, args)) })));
    for (const { args, code, stdout, stderr } of ended) {
      expect(stdout + stderr, args.join(' ')).toMatch(/lock timeout|statement timeout/u);
      // What it could not look at is a warning.
      expect(code, args.join(' ')).toBe(args[0] === 'doctor' ? 0 : 1);
    }
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
});
