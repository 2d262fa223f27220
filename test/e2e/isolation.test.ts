import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { expectInOrder, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

const MANY = 60;

async function another({ register }: Scene): Promise<{ readonly hook: Receiver; readonly id: string }> {
  const hook = await startReceiver();
  onTestFinished(async () => hook.close());
  return { hook, id: await register(hook.url) };
}

test('one endpoint hangs, one refuses, one answers 500 to a single message: the healthy one has everything, and nothing of theirs keeps it back', async () => {
  // Nothing of the hanging one is given up, and nothing of the refusing one tried again, while this goes on.
  const scene = await runningScene({ env: { REQUEST_TIMEOUT_MS: '600000', RETRY_BASE_MS: '600000' } });
  const { db, chat, hook: healthy } = scene;
  const [hanging, refusing, choosy] = [await another(scene), await another(scene), await another(scene)];
  hanging.hook.respond = () => ({ status: 200, delayUntil: new Promise(() => undefined) });
  await refusing.hook.stopListening();
  choosy.hook.respond = ({ body }) => ({ status: body.message?.content?.startsWith('poison') === true ? 500 : 200 });

  const poison = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'poison 00' });
  const ids = [];
  for (let index = 0; index < MANY; index += 1) ids.push(await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: `m${index} v0` }));
  for (let version = 1; version <= 3; version += 1) {
    await db.query("UPDATE slackchat_message SET text = 'poison 0' || $2 WHERE id = $1", [poison, version]);
    await db.query("UPDATE slackchat_message SET text = regexp_replace(text, 'v.*', 'v' || $2) WHERE id = ANY ($1)", [ids, version]);
  }
  const all = (MANY + 1) * 4;
  await healthy.waitForNotifications(all, { timeoutMs: 25_000 });
  await waitConfirmed(db);

  // Each once, each message in order.
  expect(told(healthy.notifications)).toHaveLength(all);
  expect(healthy.notifications).toHaveLength(all);
  for (const index of ids.keys()) expectInOrder(healthy.notifications.filter(({ body }) => body.message?.content?.startsWith(`m${index} `) === true), 4, `m${index} v3`);
  // The choosy one as well, but for the one message: that waits for itself alone.
  await choosy.hook.waitFor(({ body }) => body.message?.content?.startsWith('m') === true, { count: MANY * 4, timeoutMs: 25_000 });
  expect(choosy.hook.notifications.filter(({ body }) => body.message?.content?.startsWith('poison') === true)).toHaveLength(1);
  const rows = async (id: string): Promise<number> => (await db.query('SELECT FROM slackchat_bridge.deliveries WHERE webhook_id = $1', [id])).length;
  expect(await db.query('SELECT DISTINCT lane FROM slackchat_bridge.deliveries WHERE webhook_id = $1', [choosy.id])).toEqual([{ lane: `message:${poison}` }]);
  // Of the others nothing is lost: all of it is stored.
  await eventually(async () => expect([await rows(choosy.id), await rows(hanging.id), await rows(refusing.id)]).toEqual([4, all, all]));
  expect(hanging.hook.notifications.length).toBeLessThanOrEqual(64);
});

test('after an outage with a large backlog an endpoint is asked one at a time first, then twice as many with each success, and never more than max_in_flight', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '200', RETRY_MAX_MS: '400' } });
  const { db, chat, hook } = scene;
  await db.query('UPDATE slackchat_bridge.webhooks SET max_in_flight = 8');
  await waitConfirmed(db);
  await hook.stopListening();
  await db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT now() + i * interval '1 s', i::text, $1, $2 FROM generate_series(1, 400) i`,
    [chat.channelId, chat.userIds[0]],
  );
  const parked = async (): Promise<number> => (await db.query('SELECT FROM slackchat_bridge.deliveries')).length;
  await eventually(async () => expect(await parked()).toBe(400));
  await waitConfirmed(db);

  let answered = 0;
  let underWay = 0;
  const seen: { readonly answered: number; readonly underWay: number }[] = [];
  hook.respond = () => {
    underWay += 1;
    seen.push({ answered, underWay });
    const done = async (): Promise<void> => {
      await delay(15);
      underWay -= 1;
      answered += 1;
    };
    return { status: 200, delayUntil: done() };
  };
  await hook.listenAgain();
  await eventually(async () => expect(await parked()).toBe(0), { timeoutMs: 25_000 });
  expect(seen).toHaveLength(400);
  for (const one of seen) expect(one.underWay, `after ${one.answered} successes`).toBeLessThanOrEqual(Math.min(8, Math.max(1, 2 ** (one.answered - 1))));
  expect(Math.max(...seen.map((one) => one.underWay))).toBe(8);
  expect(new Set(told(hook.notifications)).size).toBe(400);
});

test('endpoints that hang with all that may be under way, large bodies among it, leave the others room to have many requests at once', { timeout: 90_000 }, async () => {
  // Room for 128 requests without a body.
  const scene = await runningScene({ env: { MAX_BUFFER_MB: '8', MAX_PAYLOAD_MB: '2', REQUEST_TIMEOUT_MS: '600000' } });
  const { db, chat, hook: healthy } = scene;
  const hanging = [await another(scene), await another(scene), await another(scene), await another(scene)];
  for (const { hook } of hanging) hook.respond = () => ({ status: 200, delayUntil: new Promise(() => undefined) });
  const say = async (count: number, length: number): Promise<unknown> => db.query(
    `INSERT INTO slackchat_message ("timestamp", text, channel_id, user_id) SELECT clock_timestamp() + i * interval '1 s', repeat('x', $4) || i, $1, $2 FROM generate_series(1, $3::int) i`,
    [chat.channelId, chat.userIds[0], count, length],
  );
  await say(5, 500_000);
  await healthy.waitForNotifications(5, { timeoutMs: 25_000 });
  await say(100, 10);
  await healthy.waitForNotifications(105, { timeoutMs: 25_000 });
  healthy.clear();

  const gate = closedGate();
  let underWay = 0;
  healthy.respond = () => {
    underWay += 1;
    if (underWay === 32) gate.open();
    return { status: 200, delayUntil: gate.opened };
  };
  await say(32, 20);
  await healthy.waitForNotifications(32, { timeoutMs: 25_000 });
  await waitConfirmed(db);
});
