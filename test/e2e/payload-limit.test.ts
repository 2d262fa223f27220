import { expect, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

const MEGABYTE = 1024 * 1024;
const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

async function rows({ db }: Scene): Promise<readonly Record<string, unknown>[]> {
  return db.query("SELECT lane, status, attempts, last_error, next_attempt_at IS NULL AS untimed, body FROM slackchat_bridge.deliveries ORDER BY commit_lsn, seq");
}

const limit = { env: { MAX_PAYLOAD_MB: '1' } };
const small = { env: { MAX_PAYLOAD_MB: '1', MAX_BUFFER_MB: '8' } };

test('a payload over MAX_PAYLOAD_MB is dead with the reason at once, and nothing of its message waits for it', async () => {
  const scene = await runningScene(limit);
  const { db, hook } = scene;
  const id = await say(scene, 'x'.repeat(MEGABYTE + 1));
  await db.query("UPDATE slackchat_message SET text = 'short' WHERE id = $1", [id]);
  await hook.waitFor(({ body }) => body.message?.content === 'short');
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_changed short']);
  const body = { type: 'update_notification', channel: scene.chat.channelId, chat_type: 'default', update_type: 'message_created' };
  const dead = { lane: `message:${id}`, status: 'dead', attempts: 0, last_error: expect.stringMatching(/^the payload is too large: a text of 1048577 characters, and MAX_PAYLOAD_MB allows 1048576 bytes$/u) as string, untimed: true, body: JSON.stringify(body) };
  expect(await rows(scene)).toEqual([dead]);

  // Sent by hand it says that there is something to fetch.
  await db.query('SELECT slackchat_bridge.retry(id) FROM slackchat_bridge.deliveries');
  await hook.waitForNotifications(2);
  expect(hook.notifications[1]?.body).toEqual({ token: 'test-token', ...body });
  await eventually(async () => expect(await rows(scene)).toEqual([]));
});

test('what just fits is delivered whole, in its order', async () => {
  const scene = await runningScene(limit);
  const { db, hook } = scene;
  const text = 'ü'.repeat(MEGABYTE / 2 - 500);
  hook.respond = (_request, attempt) => ({ status: attempt === 1 ? 500 : 200 });
  const id = await say(scene, text);
  await db.query("UPDATE slackchat_message SET text = 'short' WHERE id = $1", [id]);
  await hook.waitFor(({ body }) => body.message?.content === 'short');
  expect(hook.notifications.filter(({ body }) => body.message?.content === text)).toHaveLength(2);
  await eventually(async () => expect(await rows(scene)).toEqual([]));
});

test('channel_data over the limit is dead with the reason, and the request is sent without it when it is retried', async () => {
  const scene = await runningScene(small);
  const { db, chat, hook } = scene;
  for (const index of [1, 2, 3, 4, 5]) await say(scene, String(index).repeat(900_000));
  await hook.waitForNotifications(5);
  hook.clear();
  await db.query('SELECT slackchat_bridge.republish($1)', [chat.channelId]);
  await eventually(async () => expect(await rows(scene)).toMatchObject([{ status: 'dead', last_error: expect.stringContaining('more than 4194304 bytes, half of MAX_BUFFER_MB') as string }]));
  await waitConfirmed(db);
  await db.query('SELECT slackchat_bridge.retry(id) FROM slackchat_bridge.deliveries');
  const [request] = await hook.waitForNotifications(1);
  expect(request?.body).toEqual({ token: 'test-token', type: 'republish_request', channel: chat.channelId, chat_type: 'default' });
});

test('parked deliveries of all sizes are brought back; one that is larger than can be brought back is dead', async () => {
  const scene = await runningScene(small);
  const { db, hook, webhookId } = scene;
  const park = async (lane: string, size: number): Promise<unknown> => db.query(
    `INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body, next_attempt_at)
     SELECT $1, $2 || i, $2 || i, '0/1', i, 'c', json_build_object('type', 'x', 'text', repeat('y', $3))::text, now() FROM generate_series(1, 5) i`,
    [webhookId, lane, size],
  );
  await park('large', 4 * MEGABYTE);
  await park('middle', 3 * MEGABYTE);
  await park('small', 10);
  await db.query('SELECT slackchat_bridge.retry(min(id)) FROM slackchat_bridge.deliveries');
  await hook.waitForNotifications(10);
  await eventually(async () => {
    const left = await rows(scene);
    expect(left).toHaveLength(5);
    expect(left.every(({ lane, status }) => String(lane).startsWith('large') && status === 'dead')).toBe(true);
  });
  expect(hook.notifications).toHaveLength(10);
});
