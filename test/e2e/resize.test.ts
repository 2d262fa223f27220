import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { Chronicler } from '../../torture/chronicler.js';
import { WEIGHTS } from '../../torture/deeds.js';
import { Journal } from '../../torture/journal.js';
import { judge } from '../../torture/judge.js';
import { Random } from '../../torture/random.js';
import { Receiver } from '../../torture/receiver.js';
import { Workload } from '../../torture/workload.js';
import { ChatWorld } from '../../torture/world.js';
import { insertChannel, insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { runCommand, startBridge, type BridgeProcess } from '../support/process.js';
import { createScene, type Scene } from '../support/scene.js';
import { slotsOf, waitAllConfirmed } from '../support/shards.js';

const PART_BYTES = (64 * 1024 * 1024) / 8;

/** Everything that is committed to the scene's chat, as the server itself tells it. */
async function chronicle({ db }: Scene): Promise<{ readonly finish: () => Promise<ReturnType<Chronicler['finish']>> }> {
  await db.query('CREATE SCHEMA torture; CREATE TABLE torture.ledger (id bigint PRIMARY KEY, deed text NOT NULL)');
  const journal = new Journal(`${db.slotName}_journal`);
  const client = new Client({ connectionString: db.url, options: '-c TimeZone=UTC' });
  await client.connect();
  onTestFinished(async () => client.end());
  await journal.begin(client);
  // What was there before is written once more, so that it is known.
  for (const table of ['chattype', 'user', 'channel']) await db.query(`UPDATE slackchat_${table} SET id = id`);
  const chronicler = new Chronicler(PART_BYTES);
  return {
    async finish() {
      for (let commits = await journal.take(client); commits !== null; commits = await journal.take(client)) chronicler.add(commits);
      return chronicler.finish();
    },
  };
}

/** Sessions that write all the time, of every kind that there is. */
async function load(scene: Scene, webhookIds: readonly string[], random: Random): Promise<Workload> {
  const { db, chat } = scene;
  const channelIds = [chat.channelId, await insertChannel(db.pool, { chatTypeId: chat.chatTypeId, ownerId: chat.userIds[0] })];
  const functions = new Set((await db.query<{ name: string }>("SELECT DISTINCT proname::text AS name FROM pg_proc WHERE pronamespace = 'slackchat_bridge'::regnamespace")).map(({ name }) => name));
  const world = new ChatWorld({ userIds: chat.userIds, chatTypeIds: [chat.chatTypeId], channelIds, webhookIds, functions });
  // Emptied tables have too little left to be told of in so short a time.
  const weights = { ...WEIGHTS, truncate: 0, schema: 0, bulkInsert: 0.5 };
  return new Workload({ url: db.url, sessions: 2, random: random.fork('workload'), world, weights, pauseMs: 60 });
}

/** As a person would do it: setup, then the new ones beside the old ones, then the old ones end. */
async function change(scene: Scene, old: readonly BridgeProcess[], count: number, end: NodeJS.Signals): Promise<readonly BridgeProcess[]> {
  const shard = (index: number): Record<string, string> => (count === 1 ? {} : { SHARD: `${index}/${count}` });
  const setup = await runCommand({ ...scene.env, ...shard(1) }, ['setup']);
  expect(setup.stderr).toBe('');
  const all: BridgeProcess[] = [];
  for (let index = 1; index <= count; index += 1) all.push(startBridge({ ...scene.env, ...shard(index) }));
  for (const one of all) await one.waitForLog(({ msg }) => msg.startsWith('standing by'), 30_000);
  for (const one of all) await one.waitReady(30_000);
  await Promise.all(old.map(async (one) => one.stop(end)));
  for (const one of all) await one.waitForLog(({ msg, slot }) => msg === 'streaming' && slotsOf(scene.db, count).includes(String(slot)), 60_000);
  return all;
}

test('from one to two to three to one while everything changes: nothing is missing, twice under two ids, or out of order', { timeout: 300_000 }, async () => {
  const random = new Random('resize');
  const scene = await createScene({ env: { RETRY_MAX_MS: '500', SETTLE_MS: '100', REQUEST_TIMEOUT_MS: '2000' } });
  const { db } = scene;
  const chronicled = await chronicle(scene);
  const receivers = [await Receiver.listen('steady', random.fork('steady')), await Receiver.listen('failing', random.fork('failing'))];
  onTestFinished(() => receivers.forEach((receiver) => receiver.close()));
  let bridges: readonly BridgeProcess[] = [await scene.start()];
  const webhookIds: string[] = [];
  for (const { name, port } of receivers) webhookIds.push(await scene.register(`http://127.0.0.1:${port}/${name}`));
  const [steady, failing] = receivers;
  if (steady === undefined || failing === undefined) throw new Error('there are no receivers');
  const more = async (count: number): Promise<void> => {
    const before = steady.requests.length;
    await eventually(() => expect(steady.requests.length).toBeGreaterThan(before + count), { timeoutMs: 60_000 });
  };

  const workload = await load(scene, webhookIds, random);
  workload.start();
  await more(20);
  // What is stored by those of before is sent by those of after.
  failing.manner = 'error';
  await more(20);
  bridges = await change(scene, bridges, 2, 'SIGTERM');
  await more(20);
  failing.manner = 'flaky';
  bridges = await change(scene, bridges, 3, 'SIGKILL');
  failing.manner = 'error';
  await more(20);
  bridges = await change(scene, bridges, 1, 'SIGKILL');
  await more(20);
  await workload.stop();

  failing.manner = 'well';
  for (const id of webhookIds) await db.query('SELECT slackchat_bridge.retry_all($1)', [id]);
  await waitAllConfirmed(db, 1, 60_000);
  await eventually(async () => expect(await db.query('SELECT count(*)::int AS n FROM slackchat_bridge.deliveries')).toEqual([{ n: 0 }]), { timeoutMs: 60_000 });
  expect(await db.query('SELECT slot_name::text AS slot FROM pg_replication_slots WHERE database = current_database() AND plugin = \'pgoutput\'')).toEqual([{ slot: db.slotName }]);
  const history = await chronicled.finish();
  expect(history.ledger.size).toBeGreaterThan(100);
  for (const [index, { name, requests }] of receivers.entries()) {
    const facts = { name, webhookId: webhookIds[index] ?? '', ordering: 'message', chatTypes: null, updateTypes: null, conflate: false, outages: [], requests } as const;
    expect(judge(history, facts, []).map(({ rule, key, detail }) => `${name}: ${rule}, ${key ?? ''}: ${detail}`)).toEqual([]);
  }
});

test('an instance that dies while it takes over is followed by another one, which tells the same under the same ids; one of before that comes back ends', { timeout: 120_000 }, async () => {
  const scene = await createScene();
  const { db, chat, env } = scene;
  const gate = closedGate();
  const say = async (text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
  const before = await scene.start();
  await scene.register(scene.hook.url);
  expect((await runCommand({ ...env, SHARD: '1/2' }, ['setup'])).code).toBe(0);
  await before.stop();
  for (let left = 5; left > 0; left -= 1) await say(`left ${left}`);

  // What is left can neither be delivered nor stored.
  scene.hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  const blocker = await db.pool.connect();
  await blocker.query('BEGIN; LOCK TABLE slackchat_bridge.deliveries IN EXCLUSIVE MODE');
  const shards = [startBridge({ ...env, SHARD: '1/2' }), startBridge({ ...env, SHARD: '2/2' })];
  await scene.hook.waitForNotifications(5, { timeoutMs: 30_000 });
  const dying = shards.find(({ logs }) => logs.some(({ msg }) => msg === 'telling what is left in the slot'));
  const index = dying === shards[0] ? 1 : 2;
  await dying?.stop('SIGKILL');
  gate.open();
  await blocker.query('ROLLBACK');
  blocker.release();
  const another = startBridge({ ...env, SHARD: `${index}/2` });
  for (const one of [...shards.filter((shard) => shard !== dying), another]) await one.waitForLog(({ msg, slot }) => msg === 'streaming' && slotsOf(db, 2).includes(String(slot)), 60_000);
  for (let left = 5; left > 0; left -= 1) await say(`after ${left}`);
  await waitAllConfirmed(db, 2);
  const idsByContent = new Map<string, Set<string>>();
  for (const { headers, body } of scene.hook.notifications) {
    const content = body.message?.content ?? '';
    idsByContent.set(content, (idsByContent.get(content) ?? new Set()).add(String(headers['webhook-id'])));
  }
  expect([...idsByContent].map(([content, ids]) => `${content}: ${ids.size}`).sort()).toEqual([...[1, 2, 3, 4, 5].map((n) => `after ${n}: 1`), ...[1, 2, 3, 4, 5].map((n) => `left ${n}: 1`)]);

  const late = startBridge(env, ['run', '--setup']);
  expect((await late.exited).code).toBe(1);
  expect(late.stderr).toMatch(/without SHARD.*told by 2 shards/u);
});
