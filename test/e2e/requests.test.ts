import { expect, test } from 'vitest';
import { z } from 'zod';
import { insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { createScene, runningScene, told, waitConfirmed } from '../support/scene.js';

const Data = z.looseObject({ users: z.record(z.string(), z.unknown()), messages: z.array(z.looseObject({ content: z.string().optional() })), timestamp: z.string() });
const data = (text: string | undefined): z.infer<typeof Data> => Data.parse(JSON.parse(text ?? ''));

test('republish and unpublish send the channel as it is, with the transaction or not at all', async () => {
  const { db, chat, hook } = await runningScene({ env: { MEDIA_URL: 'https://cdn.example/', CHANNEL_ID_FORMAT: 'hex' } });
  await db.query("UPDATE slackchat_user SET image = 'u/p 1.jpg' WHERE api_id = 'U2'");
  await db.query(`UPDATE slackchat_channel SET extras = '{"n": 12345678901234567890}' WHERE id = $1`, [chat.channelId]);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'later', timestamp: '2030-01-01T00:00:00Z' });
  const first = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'earlier', timestamp: '2020-01-01T00:00:00Z' });
  await insertReaction(db.pool, { messageId: first, userId: chat.userIds[1] });
  const client = await db.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT slackchat_bridge.unpublish($1::uuid)', [chat.channelId]);
  await client.query('ROLLBACK');
  client.release();
  await db.query('SELECT slackchat_bridge.republish($1)', [chat.channelId.replaceAll('-', '')]);
  await db.query('SELECT slackchat_bridge.unpublish($1::uuid)', [chat.channelId]);

  const [republished, unpublished] = await hook.waitFor(({ body }) => body.channel_data !== undefined, { count: 2 });
  expect(republished?.rawBody).toMatch(/^\{"token":"test-token","type":"republish_request","channel":"[0-9a-f-]{36}","channel_data":"/u);
  expect(republished?.body).toMatchObject({ type: 'republish_request', channel: chat.channelId, chat_type: 'default' });
  expect(unpublished?.body).toMatchObject({ type: 'unpublish_request', channel: chat.channelId });
  expect(republished?.body.channel_data).toContain('"extras":{"n": 12345678901234567890}');
  const { messages, users } = data(republished?.body.channel_data);
  expect(messages.map(({ content }) => content)).toEqual(['earlier', 'later']);
  expect(messages[0]).toMatchObject({ reactions: [{ user: 'U2' }] });
  expect(Object.keys(users)).toEqual(['U1', 'U2']);
  expect(users['U2']).toMatchObject({ image: 'https://cdn.example/u/p%201.jpg' });
  await waitConfirmed(db);
  expect(hook.notifications.filter(({ body }) => body.type === 'unpublish_request')).toHaveLength(1);
  await expect(db.query("SELECT slackchat_bridge.republish('00000000-0000-0000-0000-000000000000')")).rejects.toThrow('there is no channel');
});

test('a channel that is gone when its request is answered is named without its data', async () => {
  const { db, chat, hook } = await runningScene();
  await db.query(`WITH asked AS (SELECT slackchat_bridge.unpublish($1::uuid)) DELETE FROM slackchat_channel WHERE id = $1 AND EXISTS (SELECT FROM asked)`, [chat.channelId]);
  const [request] = await hook.waitFor(({ rawBody }) => rawBody.includes('unpublish_request'));
  expect(JSON.parse(request?.rawBody ?? '')).toEqual({ token: 'test-token', type: 'unpublish_request', channel: chat.channelId, channel_data: null, chat_type: 'default' });
});

test('a channel of 100,000 messages is sent whole, while messages go on to arrive and the memory stays bounded', async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  // Before there is a bridge, so that they are not told one by one.
  await db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT '2001-01-01'::timestamptz + i * interval '1 s', 'message ' || i, $1, $2 FROM generate_series(1, 100000) i`,
    [chat.channelId, chat.userIds[0]],
  );
  const bridge = await scene.start();
  await scene.register(hook.url);
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  // Committed after it, and in the same channel: not held up until it is made.
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[1], text: 'meanwhile' });
  const [request] = await hook.waitFor(({ body }) => body.type === 'republish_request', { timeoutMs: 60_000 });
  expect(hook.notifications.map(({ body }) => body.message?.content ?? body.type)).toEqual(['meanwhile', 'republish_request']);
  const { messages } = data(request?.body.channel_data);
  expect(messages.slice(0, 100_000).map(({ content }) => content)).toEqual(Array.from({ length: 100_000 }, (_, index) => `message ${index + 1}`));
  const metrics = await (await fetch(`${await bridge.adminUrl()}/metrics`)).text();
  expect(Number(/^process_resident_memory_bytes (\S+)$/mu.exec(metrics)?.[1])).toBeLessThan((64 + 256) * 1024 * 1024);
}, 90_000);

test('for an endpoint with ordering channel a request keeps its place among the messages', async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  await scene.start();
  await scene.register(hook.url, { ordering: 'channel' });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'before' });
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'after' });
  await hook.waitForNotifications(3);
  expect(told(hook.notifications)).toEqual(['message_created before', 'republish_request', 'message_created after']);
});

test('a request that is being made when the bridge is killed arrives after the restart', async () => {
  const { db, chat, hook, bridge, start } = await runningScene();
  const blocker = await db.pool.connect();
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE slackchat_message IN ACCESS EXCLUSIVE MODE');
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await eventually(async () => expect(await db.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%octet_length%'")).not.toEqual([]));
  bridge.kill('SIGKILL');
  await bridge.exited;
  await blocker.query('COMMIT');
  blocker.release();
  expect(hook.notifications).toEqual([]);
  await start();
  const requests = await hook.waitFor(({ body }) => body.type === 'republish_request');
  expect(new Set(requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  await waitConfirmed(db);
});

test('with CHANNEL_REQUESTS=auto committed changes of channels are requests', async () => {
  const { db, chat, hook } = await runningScene({ env: { CHANNEL_REQUESTS: 'auto' } });
  const types = (): unknown[] => hook.notifications.map(({ body }) => [body.type, body.channel]);
  await db.query('UPDATE slackchat_channel SET live = NOT live');
  await db.query('UPDATE slackchat_channel SET published = true');
  await db.query("UPDATE slackchat_channel SET published = false, title = 'Over'");
  await db.query("UPDATE slackchat_channel SET title = 'A draft'");
  await hook.waitForNotifications(3);
  await waitConfirmed(db);
  await eventually(() => expect(types()).toEqual(['update_notification', 'republish_request', 'unpublish_request'].map((type) => [type, chat.channelId])));
});
