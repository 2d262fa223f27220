import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { createScene, runningScene, told, waitConfirmed, waitVerified, type Scene } from '../support/scene.js';
import { startProxy } from '../support/tcp-proxy.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

test('a load that was under way while a challenge came back does not undo the verification', async () => {
  const scene = await createScene();
  const { db, hook } = scene;
  const proxy = await startProxy(Number(new URL(db.url).port));
  onTestFinished(async () => proxy.close());
  await scene.start({ DATABASE_URL: db.urlVia(proxy.port) });
  const [first, later] = [closedGate(), closedGate()];
  onTestFinished(() => later.open());
  let challenges = 0;
  hook.challenge = ({ path, body }) => {
    if (path !== '/hook') return { status: 200, body: body.challenge ?? '' };
    challenges += 1;
    return { status: 200, body: body.challenge ?? '', delayUntil: (challenges === 1 ? first : later).opened };
  };
  const [webhook] = await db.query<{ id: string }>('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1) RETURNING id', [hook.url]);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  proxy.delay(150);
  const [now] = await db.query<{ now: string }>('SELECT now()::text AS now');
  await db.query('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1)', [`http://127.0.0.1:${hook.port}/other`]);
  // What the load has read is on its way back, and shows the first one unverified.
  await eventually(async () => {
    const reading = await db.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT id, endpoint%webhooks ORDER BY id' AND query_start > $1::timestamptz",
      [now?.now],
    );
    expect(reading).not.toEqual([]);
  });
  first.open();
  await waitVerified(db, webhook?.id ?? '');
  await say(scene, 'after');
  await hook.waitFor(({ path, body }) => path === '/hook' && body.message?.content === 'after');
  expect(challenges).toBe(1);
});

test('last_error goes away when the endpoint works again, also after a restart', async () => {
  const scene = await runningScene();
  const { db, hook, bridge } = scene;
  hook.respond = () => ({ status: 500 });
  await say(scene, 'a');
  await eventually(async () => expect(await db.query('SELECT last_error FROM slackchat_bridge.webhooks')).toEqual([{ last_error: 'the endpoint answered 500' }]));
  expect((await bridge.stop()).code).toBe(0);
  hook.clear();
  hook.respond = () => ({ status: 200 });
  await scene.start();
  await say(scene, 'b');
  await eventually(async () => expect(told(hook.notifications).sort()).toEqual(['message_created a', 'message_created b']));
  await eventually(async () => expect(await db.query('SELECT last_error FROM slackchat_bridge.webhooks')).toEqual([{ last_error: null }]));
});

test('verify() is not forgotten when the row is saved meanwhile', async () => {
  const scene = await runningScene();
  const { db, hook, webhookId } = scene;
  const gate = closedGate();
  hook.challenge = () => ({ status: 200, body: 'wrong', delayUntil: gate.opened });
  hook.clear();
  await db.query('SELECT slackchat_bridge.verify($1)', [webhookId]);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  await db.query('UPDATE slackchat_bridge.webhooks SET max_in_flight = 7');
  await waitConfirmed(db);
  gate.open();
  await eventually(async () => {
    expect(await db.query('SELECT verified, last_error FROM slackchat_bridge.webhooks')).toEqual([{ verified: false, last_error: expect.stringContaining('verification failed') as string }]);
  });
});
