import { expect, test } from 'vitest';
import { insertArgument, insertAttachment, insertChannel, insertKwarg, insertMessage, insertReaction } from '../support/chat.js';
import { runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

/** What has been told once the slot is confirmed up to now: then everything is delivered. */
async function allTold({ db, hook }: Scene): Promise<string[]> {
  await waitConfirmed(db);
  return told(hook.notifications);
}

test('a message with its children in one transaction is one message_created, serialized as the application does', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const [user, other] = chat.userIds;
  const argumentId = await insertArgument(db.pool, { chatTypeId: chat.chatTypeId, name: 'important', character: '!' });
  const client = await db.pool.connect();
  await client.query('BEGIN');
  const messageId = await insertMessage(client, { channelId: chat.channelId, userId: user, text: 'Hällo 👋', timestamp: '2018-10-16 17:23:49.0001+00' });
  await insertReaction(client, { messageId, userId: other, reaction: 'fire', timestamp: '2018-10-16 17:25:00+00' });
  await insertReaction(client, { messageId, userId: user, reaction: 'bang', argumentId });
  await insertAttachment(client, { messageId, title: 'A link', title_link: 'https://example.org/', image_width: 0, thumb_width: 75, text: '' });
  await insertKwarg(client, { messageId, userId: user, key: 'race', value: 'first' });
  await insertKwarg(client, { messageId, userId: user, key: 'race', value: 'last' });
  await client.query('COMMIT');
  client.release();
  const [got] = await hook.waitForNotifications(1);
  expect(got?.rawBody).toBe(
    JSON.stringify({
      token: 'test-token',
      type: 'update_notification',
      channel: chat.channelId,
      chat_type: 'default',
      update_type: 'message_created',
      message: {
        timestamp: '2018-10-16T17:23:49.000100Z',
        user: 'U1',
        content: 'Hällo 👋',
        reactions: [{ timestamp: '2018-10-16T17:25:00Z', reaction: 'fire', user: 'U2' }],
        attachments: [{ title: 'A link', title_link: 'https://example.org/', thumb_width: 75 }],
        args: ['important'],
        kwargs: { race: 'last' },
      },
    }),
  );
  expect(got?.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': expect.stringMatching(/^slackchat-bridge\/\d/u) as string });
  expect(await allTold(scene)).toHaveLength(1);
});

test('an update, also one that changes nothing, is message_changed with children and all', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'one' });
  await insertReaction(db.pool, { messageId, userId: chat.userIds[1], reaction: 'fire' });
  // A payload may be newer than its commit, so each is awaited.
  await hook.waitForNotifications(2);
  await db.query('UPDATE slackchat_message SET text = $1', ['two']);
  await db.query('UPDATE slackchat_message SET text = text');
  expect(await allTold(scene)).toEqual(['message_created one', 'message_changed one', 'message_changed two', 'message_changed two']);
  expect(hook.notifications[3]?.body.message?.reactions).toMatchObject([{ reaction: 'fire', user: 'U2' }]);
});

test('each kind of child, inserted, updated, deleted or moved, is message_changed', async () => {
  const scene = await runningScene();
  const { db, chat } = scene;
  const [user] = chat.userIds;
  const a = await insertMessage(db.pool, { channelId: chat.channelId, userId: user, text: 'a' });
  const b = await insertMessage(db.pool, { channelId: chat.channelId, userId: user, text: 'b' });
  await insertReaction(db.pool, { messageId: a, userId: user });
  await insertAttachment(db.pool, { messageId: a, title: 't' });
  await insertKwarg(db.pool, { messageId: a, userId: user });
  await db.query('UPDATE slackchat_reaction SET message_id = $1', [b]);
  await db.query('DELETE FROM slackchat_attachment');
  await db.query("UPDATE slackchat_keywordargument SET value = 'new'");
  const changed = (await allTold(scene)).slice(2).sort();
  expect(changed).toEqual([
    ...Array.from({ length: 6 }, () => 'message_changed a'),
    'message_changed b',
  ]);
});

test('what a transaction does to one message is told once; what it undoes is not told', async () => {
  const scene = await runningScene();
  const { db, chat } = scene;
  const message = { channelId: chat.channelId, userId: chat.userIds[0] };
  const client = await db.pool.connect();
  await client.query('BEGIN');
  await insertMessage(client, { ...message, text: 'rolled back' });
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  const gone = await insertMessage(client, { ...message, text: 'gone' });
  const kept = await insertMessage(client, { ...message, text: 'draft' });
  await client.query('SAVEPOINT s');
  await insertMessage(client, { ...message, text: 'back to the savepoint' });
  await client.query('ROLLBACK TO s');
  await client.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [kept, 'kept']);
  await client.query('DELETE FROM slackchat_message WHERE id = $1', [gone]);
  await client.query('COMMIT');
  client.release();
  expect(await allTold(scene)).toEqual(['message_created kept']);
});

test('a deleted message is told as it was, without children, also when its user, channel and chat type go in the same transaction', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const [chatTypeId] = (await db.query<{ id: number }>("INSERT INTO slackchat_chattype (name, publish_path, render_to_html, kwargs_in_threads) VALUES ('debate', '/', false, false) RETURNING id")).map(({ id }) => id);
  const [owner] = (await db.query<{ id: number }>("INSERT INTO slackchat_user (api_id, image, title) VALUES ('U9', '', '') RETURNING id")).map(({ id }) => id);
  const channelId = await insertChannel(db.pool, { chatTypeId: chatTypeId ?? 0, ownerId: owner ?? 0 });
  const messageId = await insertMessage(db.pool, { channelId, userId: owner ?? 0, text: 'doomed' });
  await insertReaction(db.pool, { messageId, userId: chat.userIds[0] });
  await db.query(`WITH r AS (DELETE FROM slackchat_reaction), m AS (DELETE FROM slackchat_message), c AS (DELETE FROM slackchat_channel WHERE id = '${channelId}'),
                       u AS (DELETE FROM slackchat_user WHERE api_id = 'U9') DELETE FROM slackchat_chattype WHERE name = 'debate'`);
  expect(await allTold(scene)).toEqual(['message_created doomed', 'message_changed doomed', 'message_deleted doomed']);
  expect(hook.notifications[2]?.body).toMatchObject({ channel: channelId, chat_type: 'debate', message: { user: 'U9' } });
  expect(hook.notifications[2]?.body.message?.reactions).toBeUndefined();
});

test('a message moved to another channel is deleted in the one and created in the other', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const [user] = chat.userIds;
  const other = await insertChannel(db.pool, { chatTypeId: chat.chatTypeId, ownerId: user });
  const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: user, text: 'nomad' });
  await insertReaction(db.pool, { messageId, userId: user, reaction: 'wave' });
  await db.query('UPDATE slackchat_message SET channel_id = $1', [other]);
  await allTold(scene);
  expect(hook.notifications.slice(2, 4).map(({ body }) => [body.update_type, body.channel, body.message?.reactions?.length])).toEqual([
    ['message_deleted', chat.channelId, undefined],
    ['message_created', other, 1],
  ]);
});

test('a TRUNCATE of a watched table is an update of every channel', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const other = await insertChannel(db.pool, { chatTypeId: chat.chatTypeId, ownerId: chat.userIds[0] });
  await db.query('TRUNCATE slackchat_reaction');
  const got = await hook.waitForNotifications(2);
  expect(got.map(({ body }) => body.channel).sort()).toEqual([chat.channelId, other].sort());
  expect(got[0]?.body).toEqual({ token: 'test-token', type: 'update_notification', channel: got[0]?.body.channel, chat_type: 'default' });
});

test('a large text left alone by an UPDATE (unchanged TOAST) is told whole', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  // Random, so that it is not compressed into the row.
  const [{ text = '' } = {}] = await db.query<{ text: string }>("SELECT string_agg(md5(random()::text), '') AS text FROM generate_series(1, 2000)");
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
  await db.query('UPDATE slackchat_message SET user_id = $1', [chat.userIds[1]]);
  await db.query('DELETE FROM slackchat_message');
  await hook.waitForNotifications(3);
  expect(hook.notifications.map(({ body }) => [body.update_type, body.message?.user, body.message?.content === text])).toEqual([
    ['message_created', 'U1', true],
    ['message_changed', 'U2', true],
    ['message_deleted', 'U2', true],
  ]);
});

test('columns that are added, renamed and dropped while it runs are followed', async () => {
  const scene = await runningScene();
  const { db, chat } = scene;
  const message = { channelId: chat.channelId, userId: chat.userIds[0] };
  await insertMessage(db.pool, { ...message, text: 'before' });
  await db.query("ALTER TABLE slackchat_message ADD COLUMN mood text DEFAULT 'fine'");
  await insertMessage(db.pool, { ...message, text: 'added' });
  await db.query('ALTER TABLE slackchat_message RENAME COLUMN mood TO temper');
  await db.query("UPDATE slackchat_message SET temper = 'calm' WHERE text = 'added'");
  await db.query('ALTER TABLE slackchat_message DROP COLUMN temper');
  await db.query('ALTER TABLE slackchat_message DROP COLUMN serialized');
  await insertMessageWithoutSerialized(scene, 'dropped');
  await scene.hook.waitForNotifications(4);
  expect(told(scene.hook.notifications).sort()).toEqual(['message_changed added', 'message_created added', 'message_created before', 'message_created dropped']);
});

async function insertMessageWithoutSerialized({ db, chat }: Scene, text: string): Promise<void> {
  await db.query('INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) VALUES (now(), $1, $2, $3)', [text, chat.channelId, chat.userIds[0]]);
}

test('TIME_ZONE and CHANNEL_ID_FORMAT are heeded', async () => {
  const { db, chat, hook } = await runningScene({ env: { TIME_ZONE: 'America/New_York', CHANNEL_ID_FORMAT: 'hex' } });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], timestamp: '2018-11-04 06:30:00+00' });
  const [got] = await hook.waitForNotifications(1);
  expect(got?.body).toMatchObject({ channel: chat.channelId.replaceAll('-', ''), message: { timestamp: '2018-11-04T01:30:00-05:00' } });
});
