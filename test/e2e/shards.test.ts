import { expect, onTestFinished, test } from 'vitest';
import { insertChannel, insertMessage, insertReaction } from '../support/chat.js';
import { runCommand, startBridge } from '../support/process.js';
import { startReceiver, type ReceivedRequest, type Receiver } from '../support/receiver.js';
import { createScene, type Scene, told } from '../support/scene.js';
import { idsOf, slotsOf, startShards, waitAllConfirmed } from '../support/shards.js';

/** "message_created 17": of one message each, whose text is its number. */
const said = (requests: readonly ReceivedRequest[]): string[] => told(requests).sort();
const ids = (requests: readonly ReceivedRequest[]): string[] => requests.map(({ headers }) => String(headers['webhook-id']));

async function say({ db, chat }: Scene, count: number): Promise<number[]> {
  const made: number[] = [];
  for (let left = count; left > 0; left -= 1) {
    const id = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: '' });
    await db.query('UPDATE slackchat_message SET text = id::text WHERE id = $1', [id]);
    made.push(id);
  }
  return made;
}

/** Two messages that are different instances' of two. */
async function twoApart(scene: Scene): Promise<readonly [number, number]> {
  const made = await say(scene, 8);
  const [[first], [second]] = [await idsOf(scene.db, made, 1, 2), await idsOf(scene.db, made, 2, 2)];
  if (first === undefined || second === undefined) return twoApart(scene);
  return [first, second];
}

test('each change is sent by exactly one of two instances, in order; what one that is away has waits for it', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, hook } = scene;
  const [, second] = await startShards(scene, 2);
  await scene.register(hook.url);
  const before = await say(scene, 20);
  await waitAllConfirmed(db, 2);
  expect(new Set(ids(hook.notifications)).size).toBe(hook.notifications.length);
  expect(hook.notifications.length).toBe(40);
  for (const id of before) expect(told(hook.notifications).filter((line) => line === `message_changed ${id}`)).toHaveLength(1);
  const parts = [await idsOf(db, before, 1, 2), await idsOf(db, before, 2, 2)];
  expect(Math.min(...parts.map((part) => part.length))).toBeGreaterThan(0);

  await second?.stop();
  hook.clear();
  const made = await say(scene, 20);
  const [own, others] = [await idsOf(db, made, 1, 2), await idsOf(db, made, 2, 2)];
  await hook.waitForNotifications(own.length * 2);
  await db.query('DELETE FROM slackchat_message WHERE id = ANY ($1)', [made]);
  await hook.waitForNotifications(own.length * 3);
  expect(said(hook.notifications)).toEqual([...own.flatMap((id) => [`message_changed ${id}`, `message_deleted ${id}`]), ...own.map(() => 'message_created')].sort());
  await scene.start({ SHARD: '0/2' });
  await waitAllConfirmed(db, 2);
  expect(said(hook.notifications).filter((line) => line.startsWith('message_deleted'))).toEqual(made.map((id) => `message_deleted ${id}`).sort());
  expect(ids(hook.notifications).length).toBe(new Set(ids(hook.notifications)).size);
  expect(others.length + own.length).toBe(20);
});

test('a child that is moved to another instance\'s message changes both, and a message whose key changes goes and comes', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  await startShards(scene, 2);
  await scene.register(hook.url);
  const [first, second] = await twoApart(scene);
  const reaction = await insertReaction(db.pool, { messageId: first, userId: chat.userIds[1], reaction: 'moved' });
  await waitAllConfirmed(db, 2);
  hook.clear();
  await db.query('UPDATE slackchat_reaction SET message_id = $2 WHERE id = $1', [reaction, second]);
  await waitAllConfirmed(db, 2);
  expect(said(hook.notifications)).toEqual([`message_changed ${first}`, `message_changed ${second}`].sort());
  expect(hook.notifications.map(({ body }) => (body.message as { reactions?: unknown[] } | undefined)?.reactions?.length ?? 0).sort()).toEqual([0, 1]);

  hook.clear();
  const [other] = await idsOf(db, Array.from({ length: 50 }, (_item, index) => 1_000_000 + index), 2, 2);
  await db.query('UPDATE slackchat_message SET id = $2 WHERE id = $1', [first, other]);
  await waitAllConfirmed(db, 2);
  expect(said(hook.notifications)).toEqual([`message_created ${first}`, `message_deleted ${first}`]);
});

test('what is no message\'s is done once, and endpoints are known to all', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  const shards = await startShards(scene, 3);
  const webhookId = await scene.register(hook.url);
  const made = await say(scene, 12);
  await insertReaction(db.pool, { messageId: made[0] ?? 0, userId: chat.userIds[1] });
  await insertChannel(db.pool, { chatTypeId: chat.chatTypeId, ownerId: chat.userIds[0] });
  await waitAllConfirmed(db, 3);
  const challenges = (receiver: Receiver): number => receiver.requests.filter(({ body }) => body.type === 'url_verification').length;
  expect(challenges(hook)).toBe(1);
  hook.clear();
  await db.query('TRUNCATE slackchat_reaction');
  await db.query('SELECT slackchat_bridge.request_update($1::uuid)', [chat.channelId]);
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await db.query('SELECT slackchat_bridge.resync($1)', [webhookId]);
  await db.query('SELECT slackchat_bridge.verify($1)', [webhookId]);
  await waitAllConfirmed(db, 3);
  await hook.waitFor(({ body }) => body.type === 'republish_request');
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  expect(said(hook.notifications)).toEqual(['republish_request', ...Array.from({ length: 5 }, () => 'update_notification')]);
  expect(challenges(hook)).toBe(1);

  // A second one, registered now, hears from each of them; one that is gone from none.
  const later = await startReceiver();
  onTestFinished(async () => later.close());
  await scene.register(later.url);
  await db.query('DELETE FROM slackchat_bridge.webhooks WHERE id = $1', [webhookId]);
  const more = await say(scene, 12);
  await waitAllConfirmed(db, 3);
  for (const index of [1, 2, 3]) expect((await idsOf(db, more, index, 3)).length).toBeGreaterThan(0);
  expect(said(later.notifications).filter((line) => line.startsWith('message_changed'))).toEqual(more.map((id) => `message_changed ${id}`).sort());
  expect(said(hook.notifications).filter((line) => more.some((id) => line.endsWith(` ${id}`)))).toEqual([]);
  for (const { logs } of shards) expect(logs.filter(({ level }) => level === 'error')).toEqual([]);
});

test('what could not be delivered is brought back by the instance that has the message, in order', { timeout: 60_000 }, async () => {
  const scene = await createScene({ env: { RETRY_MAX_MS: '200' } });
  const { db, hook } = scene;
  const shards = await startShards(scene, 2);
  const webhookId = await scene.register(hook.url);
  hook.respond = () => ({ status: 503 });
  const made = await say(scene, 12);
  await waitAllConfirmed(db, 2);
  expect(await db.query('SELECT count(*)::int AS n FROM slackchat_bridge.deliveries')).toEqual([{ n: 24 }]);
  // Each counts what it has: together that is all. The page shows what is in the table.
  const counted = async (): Promise<number[]> => Promise.all(shards.map(async (shard) => Number(/^slackchat_bridge_deliveries_waiting (\d+)$/mu.exec(await (await fetch(`${await shard.adminUrl()}/metrics`)).text())?.[1])));
  await expect.poll(async () => (await counted()).reduce((sum, count) => sum + count, 0), { timeout: 30_000 }).toBe(24);
  expect(Math.min(...(await counted()))).toBeGreaterThan(0);
  // One of them is away: what is its own stays.
  await shards[1]?.stop();
  hook.respond = () => ({ status: 200 });
  const [own, others] = [await idsOf(db, made, 1, 2), await idsOf(db, made, 2, 2)];
  const waiting = async (): Promise<unknown> => db.query('SELECT DISTINCT lane FROM slackchat_bridge.deliveries ORDER BY 1');
  await expect.poll(waiting, { timeout: 15_000 }).toEqual(others.map((id) => ({ lane: `message:${id}` })).sort((a, b) => (a.lane < b.lane ? -1 : 1)));
  await scene.start({ SHARD: '2/2' });
  await db.query('SELECT slackchat_bridge.retry_all($1)', [webhookId]);
  await expect.poll(waiting, { timeout: 15_000 }).toEqual([]);
  for (const id of [...own, ...others]) {
    const about = hook.notifications.filter(({ headers }) => String(headers['webhook-id']).endsWith(`-0-${id}`));
    expect(new Set(ids(about)).size).toBe(2);
    expect(about.at(-1)?.body).toMatchObject({ update_type: 'message_changed', message: { content: String(id) } });
  }
});

test('one slot that is lost announces every channel once', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, chat, hook } = scene;
  const [, second] = await startShards(scene, 2);
  await scene.register(hook.url);
  await second?.stop();
  await db.query('SELECT pg_drop_replication_slot($1)', [slotsOf(db, 2)[1]]);
  const made = await say(scene, 6);
  await hook.waitForNotifications((await idsOf(db, made, 1, 2)).length * 2);
  await scene.start({ SHARD: '2/2' });
  await hook.waitFor(({ body }) => body.type === 'update_notification' && body.update_type === undefined);
  await waitAllConfirmed(db, 2);
  const channels = hook.notifications.filter(({ body }) => body.update_type === undefined);
  expect(channels.map(({ body }) => body.channel)).toEqual([chat.channelId]);
  expect(said(hook.notifications).filter((line) => line.startsWith('message_changed'))).toEqual((await idsOf(db, made, 1, 2)).map((id) => `message_changed ${id}`).sort());
});

test('setup, doctor, status and teardown know of all of them; endpoints cannot ask for the order of a channel', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, hook, env } = scene;
  expect((await runCommand({ ...env, SHARD: '2/2' }, ['setup'])).stdout).toContain(`made: the replication slot ${slotsOf(db, 2)[0] ?? ''}`);
  expect((await runCommand({ ...env, SHARD: '1/2' }, ['setup'])).stdout).toContain('nothing to do');
  const insert = "INSERT INTO slackchat_bridge.webhooks (endpoint, ordering) VALUES ($1, 'channel')";
  await expect(db.query(insert, [hook.url])).rejects.toThrow('ordering must be message');
  const [first, second] = await startShards(scene, 2);
  await scene.register(hook.url);

  const doctor = await runCommand({ ...env, SHARD: '2/2' }, ['doctor']);
  expect(doctor.stdout).toContain('2 share the messages, and all of them are there');
  expect(doctor.code).toBe(0);
  await first?.stop();
  expect((await runCommand({ ...env, SHARD: '2/2' }, ['doctor'])).stdout).toContain(`no instance streams from ${slotsOf(db, 2)[0] ?? ''}`);
  // Status has the slots of both, whichever is asked; the page's data come from one.
  const admin = await second?.adminUrl();
  for (const SHARD of ['1/2', '2/2', '']) {
    const status = await runCommand({ ...env, SHARD }, ['status', '--admin', admin ?? '']);
    expect(status.stdout).toMatch(/^bridge {6}streaming, shard 2\/2, since/mu);
    expect(status.stdout).toMatch(new RegExp(`^slot {8}${slotsOf(db, 2)[0] ?? ''}: not in use, .*\\nslot {8}${slotsOf(db, 2)[1] ?? ''}: in use, .* and \\d+ s behind`, 'mu'));
  }
  const json = JSON.parse((await runCommand({ ...env, SHARD: '2/2' }, ['status', '--json', '--admin', admin ?? ''])).stdout) as Record<string, unknown>;
  expect(json).toMatchObject({ slot: { name: slotsOf(db, 2)[1], active: true }, slots: [{ name: slotsOf(db, 2)[0], active: false }, { name: slotsOf(db, 2)[1], active: true }], bridge: { status: { shard: '2/2', slot: slotsOf(db, 2)[1] } } });
  await db.query('ALTER PUBLICATION slackchat_bridge_1_of_2 DROP TABLE slackchat_message');
  await db.query('ALTER PUBLICATION slackchat_bridge_1_of_2 ADD TABLE slackchat_message WHERE (id > 5)');
  const faulty = await runCommand({ ...env, SHARD: '1/2' }, ['doctor']);
  expect(faulty.stdout).toMatch(/slackchat_message only rows with \(id > 5\) are published, and it must be only rows with/u);
  expect((await runCommand({ ...env, SHARD: '1/2' }, ['setup'])).stdout).toContain('made: the publication slackchat_bridge_1_of_2');

  const stray = startBridge({ ...env, SHARD: '1/3' }, ['run', '--setup']);
  expect((await stray.exited).code).toBe(1);
  expect(stray.stderr).toMatch(/SHARD 1\/3.*2 shards.*SHARD=1\/3 slackchat-bridge setup/u);
  expect((await runCommand(env, ['teardown', '--yes'])).stderr).toContain('stop the bridge first');
});
