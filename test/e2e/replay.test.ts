import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { insertAttachment, insertChannel, insertKwarg, insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { runCommand, startBridge } from '../support/process.js';
import { startReceiver, type ReceivedRequest } from '../support/receiver.js';
import { createScene, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';
import { startShards, waitAllConfirmed } from '../support/shards.js';

const YESTERDAY = '2024-05-01T12:00:00Z';
const at = (minute: number, second = 0): string => `2024-05-02T10:${String(minute).padStart(2, '0')}:${String(second).padStart(2, '0')}.000100Z`;
const replays = (requests: readonly ReceivedRequest[]): readonly ReceivedRequest[] => requests.filter(({ headers }) => headers['slackchat-replay'] === 'true');
const contents = (requests: readonly ReceivedRequest[]): (string | undefined)[] => requests.map(({ body }) => body.message?.content);

/** Messages that were told before, from so many minutes after ten on. */
async function say({ db, chat }: Scene, texts: readonly string[], minute: number, channelId = chat.channelId): Promise<number[]> {
  const ids: number[] = [];
  for (const [index, text] of texts.entries()) ids.push(await insertMessage(db.pool, { channelId, userId: chat.userIds[0], text, timestamp: at(minute, index) }));
  return ids;
}

/** A thousand and more of them at once. */
async function sayMany({ db, chat }: Scene, count: number): Promise<void> {
  await db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT '2024-05-02T10:00:00Z'::timestamptz + i * interval '1 ms', 'message ' || i, $1, $2 FROM generate_series(1, $3::int) i`,
    [chat.channelId, chat.userIds[0], count],
  );
}

async function replay({ env }: Pick<Scene, 'env'>, ...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return runCommand(env, ['replay', ...args]);
}

test('what is newer by its own timestamp or a child\'s is told once more as it is now, marked, oldest first; whatever update types are wanted', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  const picky = await scene.register(other.url, { update_types: ['message_deleted'] });
  const [old, liked, answered] = await say(scene, ['old', 'liked', 'answered'], 1);
  const elsewhere = await insertChannel(db.pool, { chatTypeId: chat.chatTypeId, ownerId: chat.userIds[0] });
  await say(scene, ['elsewhere'], 30, elsewhere);
  const [first] = await say(scene, ['first', 'second'], 20);
  await insertReaction(db.pool, { messageId: old ?? 0, userId: chat.userIds[1], timestamp: at(5) });
  for (const second of [3, 1, 2]) await insertReaction(db.pool, { messageId: liked ?? 0, userId: chat.userIds[1], timestamp: at(25, second) });
  await insertKwarg(db.pool, { messageId: answered ?? 0, userId: chat.userIds[1], timestamp: at(15) });
  await insertReaction(db.pool, { messageId: answered ?? 0, userId: chat.userIds[1], timestamp: at(26) });
  await insertAttachment(db.pool, { messageId: first ?? 0 });
  await waitConfirmed(db);
  hook.clear();

  expect(await replay(scene, '--since', at(30))).toMatchObject({ stdout: `replayed: 1 message from ${at(30)} to ${at(30)}\n` });
  const metrics = await (await fetch(`${await scene.bridge.adminUrl()}/metrics`)).text();
  expect(metrics).toContain('slackchat_bridge_notifications_total{kind="replay"} 1\n');
  hook.clear();
  other.clear();
  expect(await replay(scene, '--since', at(10))).toEqual({ code: 0, stdout: `replayed: 5 messages from ${at(10)} to ${at(30)}\n`, stderr: '' });
  expect(contents(replays(hook.notifications)).toSorted()).toEqual(['answered', 'elsewhere', 'first', 'liked', 'second']);
  expect(replays(hook.notifications)).toHaveLength(hook.notifications.length);
  const about = (content: string): ReceivedRequest | undefined => hook.notifications.find(({ body }) => body.message?.content === content);
  expect(about('liked')?.body).toMatchObject({ update_type: 'message_changed', channel: chat.channelId, chat_type: 'default', message: { reactions: [{}, {}, {}] } });
  expect(about('first')?.body.message?.attachments).toHaveLength(1);
  // In the order in which it was asked for: by place in the stream.
  const places = new Map(hook.notifications.map(({ body, headers }) => [body.message?.content, Number(String(headers['webhook-id']).split('-').at(-1))]));
  expect([...places].toSorted(([, a], [, b]) => a - b).map(([content]) => content)).toEqual(['answered', 'first', 'second', 'liked', 'elsewhere']);
  expect(contents(other.notifications).toSorted()).toEqual(['answered', 'elsewhere', 'first', 'liked', 'second']);
  expect(replays(other.notifications)).toHaveLength(5);

  other.clear();
  hook.clear();
  const result = await replay(scene, '--since', at(10), '--until', at(25), '--channel', chat.channelId, '--webhook', picky, '--json');
  expect(JSON.parse(result.stdout)).toEqual({ messages: 3, since: at(10), until: at(25), goOnSince: null });
  expect(contents(other.notifications).toSorted()).toEqual(['answered', 'first', 'second']);
  expect(hook.notifications).toEqual([]);

  // What was deleted is not told.
  await db.query('DELETE FROM slackchat_attachment');
  await db.query('DELETE FROM slackchat_message WHERE id = $1', [first]);
  await waitConfirmed(db);
  hook.clear();
  expect(await db.query('SELECT slackchat_bridge.replay($1, ARRAY[$2])::int AS n', [at(10), elsewhere])).toEqual([{ n: 1 }]);
  expect(await db.query('SELECT slackchat_bridge.replay($1)::int AS n', [at(16)])).toEqual([{ n: 4 }]);
  await waitConfirmed(db);
  expect(told(hook.notifications).toSorted()).toEqual(['answered', 'elsewhere', 'elsewhere', 'liked', 'second'].map((content) => `message_changed ${content}`));
});

test('wrong usage and what is not there is said in one line', async () => {
  const scene = await createScene();
  expect(await runCommand(scene.env, ['setup'])).toMatchObject({ code: 0 });
  await scene.db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:1/')");
  const refusals: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['--since', 'yesterday'], 2, /accepted: a time such as/u],
    [['--since', '2024-13-01'], 2, /date\/time field value out of range/u],
    [['--since', YESTERDAY, '--channel', '00000000-0000-0000-0000-000000000000'], 1, /^slackchat-bridge: there is no channel 00000000-/mu],
    [['--since', YESTERDAY, '--webhook', '7'], 1, /^slackchat-bridge: there is no webhook 7$/mu],
  ];
  for (const [args, code, stderr] of refusals) expect(await replay(scene, ...args)).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(stderr) as string });
});

test('pages have every message once, however small they are and whatever says that it is newer', async () => {
  const { db, chat, env } = await createScene();
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  // Made at random, but the same every time: about one thing a minute, reactions and answers later than their messages.
  await db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT '2024-05-02'::timestamptz + i * interval '1 min', '', $1, $2 FROM generate_series(1, 80) i`,
    [chat.channelId, chat.userIds[0]],
  );
  for (const [table, columns, values] of [['reaction', 'reaction', "'x'"], ['keywordargument', 'key, value', "'k', 'v'"]] as const) {
    await db.query(
      `INSERT INTO slackchat_${table} ("timestamp", message_id, user_id, ${columns})
       SELECT '2024-05-02'::timestamptz + ((i * 7919) % 170) * interval '1 min' + i * interval '1 s', (SELECT min(id) FROM slackchat_message) + (i * i) % 80, $1, ${values} FROM generate_series(1, 120) i`,
      [chat.userIds[0]],
    );
  }
  const [{ wanted } = { wanted: 0 }] = await db.query<{ wanted: number }>(
    `SELECT count(DISTINCT id)::int AS wanted FROM (SELECT id, "timestamp" FROM slackchat_message UNION ALL SELECT message_id, "timestamp" FROM slackchat_reaction UNION ALL SELECT message_id, "timestamp" FROM slackchat_keywordargument) all_of
      WHERE "timestamp" >= '2024-05-02 01:00+00'`,
  );
  expect(wanted).toBeGreaterThan(30);
  for (const size of [1, 3, 7, 1_000]) {
    let count = 0;
    let after: { readonly messages: number; readonly last_at: string | null; readonly last_id: string | null } = { messages: size, last_at: null, last_id: null };
    while (after.messages === size) {
      const rows: (typeof after)[] = await db.query<typeof after>(
        `SELECT p.messages, p.last_at::text, p.last_id FROM slackchat_bridge.replay_page('2024-05-02 01:00+00', NULL, NULL, NULL, $1, $2, $3) p`, [after.last_at, after.last_id, size],
      );
      after = rows[0] ?? { messages: 0, last_at: null, last_id: null };
      count += after.messages;
    }
    expect([size, count]).toEqual([size, wanted]);
  }
});

test('the bridge is killed in the middle of a replay: every message is told, and the command waits for it', { timeout: 90_000 }, async () => {
  const scene = await createScene();
  const { db, hook } = scene;
  await sayMany(scene, 1_200);
  const bridge = await scene.start();
  await scene.register(hook.url, { max_in_flight: 8 });
  const command = startBridge(scene.env, ['replay', '--since', YESTERDAY, '--json']);
  await hook.waitForNotifications(700);
  const begun = hook.notifications.length;
  bridge.kill('SIGKILL');
  await bridge.exited;
  // While nobody streams: a message changes that was told, and one that was not.
  await db.query("UPDATE slackchat_message SET text = 'changed ' || id WHERE text IN ('message 3', 'message 1199')");
  await scene.start();
  expect((await command.exited).code).toBe(0);
  expect(z.object({ messages: z.number() }).parse(JSON.parse(command.stdout))).toMatchObject({ messages: 1_200 });
  await waitConfirmed(db);
  expect(begun).toBeLessThan(1_200);
  const timestamps = new Set(replays(hook.notifications).map(({ body }) => body.message?.timestamp));
  expect(timestamps.size).toBe(1_200);
  // One page was under way: at the most that, and what it shares its ids with, came again.
  const again = replays(hook.notifications).length - new Set(replays(hook.notifications).map(({ headers }) => headers['webhook-id'])).size;
  expect(again).toBeLessThanOrEqual(500);
  for (const number of [3, 1199]) {
    const about = hook.notifications.filter(({ body }) => body.message?.timestamp === `2024-05-02T10:00:0${Math.floor(number / 1000)}.${String(number % 1000).padStart(3, '0')}000Z`);
    expect(about.at(-1)?.body.message?.content).toMatch(/^changed /u);
  }
  expect(await db.query('SELECT count(*)::int AS n FROM slackchat_bridge.deliveries')).toEqual([{ n: 0 }]);
});

test('what is live goes first, and a change of a message that waits to be told once more goes behind that', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  await sayMany(scene, 60);
  await scene.start();
  await scene.register(hook.url, { max_in_flight: 1 });
  const gate = closedGate();
  // The first of the replays is held until something live waits.
  hook.respond = (request) => (request === hook.notifications[0] ? { status: 200, delayUntil: gate.opened } : { status: 200 });
  await db.query('SELECT slackchat_bridge.replay($1)', [YESTERDAY]);
  await hook.waitForNotifications(1);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'live' });
  await db.query("UPDATE slackchat_message SET text = 'changed' WHERE text = 'message 50'");
  // What waits for long is stored, and goes the same way from there.
  await eventually(async () => expect(await db.query("SELECT count(*)::int AS n FROM slackchat_bridge.deliveries WHERE lane LIKE 'message:%'")).toEqual([{ n: 62 }]), { timeoutMs: 20_000 });
  gate.open();
  await waitConfirmed(db);
  await hook.waitForNotifications(62);
  const order = hook.notifications.map(({ body, headers }) => `${headers['slackchat-replay'] === 'true' ? 'replay' : 'live'} ${body.message?.content ?? ''}`);
  expect(order.filter((line) => line.startsWith('replay '))).toHaveLength(60);
  const at50 = order.indexOf('live changed');
  expect(order.indexOf('live live')).toBeLessThanOrEqual(3);
  expect(at50).toBeLessThanOrEqual(4);
  // Its replay was asked for before it changed, and does not hold it up; it is told as it was when it was read.
  expect(order.findIndex((line) => line === 'replay changed' || line === 'replay message 50')).toBeLessThan(at50);
});

test('broken off, it says how to go on; from there the rest is told', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  await sayMany(scene, 700);
  await runCommand(scene.env, ['setup']);
  // Nobody streams: the first page is asked for, and waited for.
  const command = startBridge(scene.env, ['replay', '--since', YESTERDAY, '--channel', chat.channelId]);
  await eventually(() => expect(command.stderr).toContain('no bridge streams from the slot'), { timeoutMs: 20_000 });
  const { code } = await command.stop('SIGINT');
  expect(code).toBe(1);
  expect(command.stdout).toContain('replayed: 500 messages');
  const [, line = ''] = /^to go on: slackchat-bridge replay (.*)$/mu.exec(command.stderr) ?? [];
  expect(line).toBe(`--since 2024-05-02T10:00:00.500000Z --until 2024-05-02T10:00:00.700000Z --channel ${chat.channelId}`);
  await scene.start();
  await scene.register(hook.url);
  expect(await replay(scene, ...line.split(' '))).toMatchObject({ code: 0 });
  expect(new Set(contents(replays(hook.notifications))).size).toBeGreaterThanOrEqual(201);
  expect(contents(hook.notifications)).toContain('message 700');
  await waitConfirmed(db);
});

test('with SHARD each message is told by the instance that has it', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, hook } = scene;
  await sayMany(scene, 60);
  await startShards(scene, 2);
  await scene.register(hook.url);
  expect(await replay(scene, '--since', YESTERDAY)).toMatchObject({ code: 0 });
  await waitAllConfirmed(db, 2);
  expect(new Set(contents(replays(hook.notifications))).size).toBe(60);
  expect(hook.notifications).toHaveLength(60);
  expect(new Set(hook.notifications.map(({ headers }) => headers['webhook-id'])).size).toBe(60);
});

test('a request of anybody\'s for what is no key is passed over, and what comes behind it is told', async () => {
  const { db, chat, hook } = await runningScene();
  for (const content of ['{"replay":"x"}', '{"replay":"99999999999999999999"}', '{"replay":"1","to":["y",null]}', '{"request_update":"x"}', '{"republish":"x"}']) {
    await db.query('SELECT pg_logical_emit_message(true, $1, $2)', ['slackchat_bridge', content]);
  }
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'behind' });
  await hook.waitFor(({ body }) => body.message?.content === 'behind');
  await waitConfirmed(db);
});
