import { expect, test } from 'vitest';
import { insertMessage, insertReaction } from '../support/chat.js';
import { runningScene, told, waitConfirmed } from '../support/scene.js';

test('a child and the application\'s own UPDATE of the message soon after are one notification', async () => {
  const { db, chat, hook } = await runningScene({ env: { SETTLE_MS: '60000' } });
  const message = { channelId: chat.channelId, userId: chat.userIds[0] };
  const messageId = await insertMessage(db.pool, { ...message, text: 'maintained', serialized: { content: 'maintained' } });
  await insertReaction(db.pool, { messageId, userId: chat.userIds[1], reaction: 'fire' });
  await db.query('UPDATE slackchat_message SET serialized = $2 WHERE id = $1', [messageId, '{}']);
  await insertMessage(db.pool, { ...message, text: 'sentinel' });
  await hook.waitForNotifications(3);
  expect(told(hook.notifications).sort()).toEqual(['message_changed maintained', 'message_created maintained', 'message_created sentinel']);
  expect(hook.notifications.find(({ body }) => body.update_type === 'message_changed')?.body.message?.reactions).toMatchObject([{ reaction: 'fire' }]);
});

test('without that UPDATE it goes out when the time is up, each transaction once', async () => {
  const { db, chat, hook } = await runningScene({ env: { SETTLE_MS: '300' } });
  const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'plain SQL', serialized: {} });
  await insertReaction(db.pool, { messageId, userId: chat.userIds[1] });
  await insertReaction(db.pool, { messageId, userId: chat.userIds[0] });
  const committedAt = performance.now();
  const got = await hook.waitForNotifications(3);
  expect(told(got)).toEqual(['message_created plain SQL', 'message_changed plain SQL', 'message_changed plain SQL']);
  expect((got[1]?.receivedAt ?? 0) - committedAt).toBeGreaterThan(200);
});

test('where serialized is NULL nothing waits, and SETTLE_MS=0 turns the wait off', async () => {
  const slow = await runningScene({ env: { SETTLE_MS: '60000' } });
  const unmaintained = await insertMessage(slow.db.pool, { channelId: slow.chat.channelId, userId: slow.chat.userIds[0] });
  await insertReaction(slow.db.pool, { messageId: unmaintained, userId: slow.chat.userIds[1] });
  await slow.hook.waitForNotifications(2);
  const off = await runningScene({ env: { SETTLE_MS: '0' } });
  const maintained = await insertMessage(off.db.pool, { channelId: off.chat.channelId, userId: off.chat.userIds[0], serialized: {} });
  await insertReaction(off.db.pool, { messageId: maintained, userId: off.chat.userIds[1] });
  await off.hook.waitForNotifications(2);
});

test('a stop while one waits sends it, and a kill -9 leaves it for the next start', async () => {
  const stopped = await runningScene({ env: { SETTLE_MS: '60000' } });
  const change = async ({ db, chat }: typeof stopped): Promise<void> => {
    const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'held', serialized: {} });
    await insertReaction(db.pool, { messageId, userId: chat.userIds[1] });
    // Once this has arrived, the reaction before it is held.
    await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'sentinel' });
  };
  await change(stopped);
  await stopped.hook.waitForNotifications(2);
  expect((await stopped.bridge.stop()).code).toBe(0);
  expect(told(stopped.hook.notifications).sort()).toEqual(['message_changed held', 'message_created held', 'message_created sentinel']);

  const killed = await runningScene({ env: { SETTLE_MS: '60000' } });
  await change(killed);
  await killed.hook.waitForNotifications(2);
  await killed.bridge.stop('SIGKILL');
  killed.hook.clear();
  await killed.start({ SETTLE_MS: '100' });
  await killed.hook.waitFor(({ body }) => body.update_type === 'message_changed');
});

test('what was committed while the bridge was down is one notification as well', async () => {
  const { db, chat, hook, bridge, start } = await runningScene({ env: { SETTLE_MS: '60000' } });
  const message = { channelId: chat.channelId, userId: chat.userIds[0] };
  const messageId = await insertMessage(db.pool, { ...message, text: 'maintained', serialized: {} });
  await hook.waitForNotifications(1);
  await bridge.stop('SIGKILL');
  await insertReaction(db.pool, { messageId, userId: chat.userIds[1], reaction: 'fire' });
  await db.query('UPDATE slackchat_message SET serialized = $2 WHERE id = $1', [messageId, '{}']);
  hook.clear();
  await start({ SETTLE_MS: '60000' });
  await waitConfirmed(db);
  expect(told(hook.notifications).filter((each) => each !== 'message_created maintained')).toEqual(['message_changed maintained']);
});
