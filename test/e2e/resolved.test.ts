import { expect, onTestFinished, test } from 'vitest';
import { Completeness } from '../../src/receiver/completeness.js';
import { compareLsn } from '../../src/receiver/lsn.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { startReceiver, type ReceivedRequest } from '../support/receiver.js';
import { runCommand, startBridge } from '../support/process.js';
import { createScene, runningScene, waitConfirmed, type Scene } from '../support/scene.js';
import { slotsOf, startShards, waitAllConfirmed } from '../support/shards.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const header = ({ headers }: ReceivedRequest, name: string): string | undefined => (headers[name] === undefined ? undefined : String(headers[name]));
const commit = (request: ReceivedRequest): string => header(request, 'slackchat-commit-lsn') ?? '';
const covers = (request: ReceivedRequest, lsn: string): boolean => {
  const [since, resolved] = [header(request, 'slackchat-resolved-since'), header(request, 'slackchat-resolved-lsn')];
  return since !== undefined && resolved !== undefined && compareLsn(since, lsn) <= 0 && compareLsn(lsn, resolved) < 0;
};

/** Says something until a request says that everything of that commit has arrived. @returns that request */
async function untilSaid(scene: Scene, lsn: string, hook = scene.hook): Promise<ReceivedRequest> {
  return eventually(async () => {
    const before = hook.notifications.length;
    await say(scene, 'and now');
    await hook.waitForNotifications(before + 1);
    const found = hook.notifications.slice(before).find((request) => covers(request, lsn));
    expect(found, JSON.stringify(hook.notifications.slice(before).map(({ headers }) => headers))).toBeDefined();
    return found as ReceivedRequest;
  }, { timeoutMs: 20_000 });
}

/** @returns the commit of a new message, as its notification says */
async function newCommit(scene: Scene, text: string): Promise<string> {
  await say(scene, text);
  const [request] = await scene.hook.waitFor(({ body }) => body.message?.content === text);
  return commit(request as ReceivedRequest);
}

test('each delivery says of which commit it is, and after a while that everything before has arrived', async () => {
  const scene = await runningScene();
  const { db, hook } = scene;
  await say(scene, 'first');
  const [first] = await hook.waitForNotifications(1);
  const lsn = commit(first as ReceivedRequest);
  expect(String(first?.headers['webhook-id'])).toContain(`-${lsn.split('/').map((half) => half.padStart(8, '0')).join('')}-`);
  const said = await untilSaid(scene, lsn);
  expect(covers(said, commit(said))).toBe(false);

  // A delivery that waits: nothing more is said until it has arrived.
  hook.respond = ({ body }) => ({ status: body.message?.content === 'poison' ? 500 : 200 });
  await say(scene, 'poison');
  const [poison] = await hook.waitFor(({ body }) => body.message?.content === 'poison');
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toHaveLength(1));
  // Another endpoint has everything by then.
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  await scene.register(other.url);
  await untilSaid(scene, await newCommit(scene, 'healthy'), other);
  expect(hook.notifications.filter((request) => covers(request, commit(poison as ReceivedRequest)))).toEqual([]);
  hook.respond = () => ({ status: 200 });
  await untilSaid(scene, commit(poison as ReceivedRequest));
});

test('what was removed by hand, or fell into a time without the endpoint, is never said to have arrived', async () => {
  const scene = await runningScene();
  const { db, hook, webhookId } = scene;
  hook.respond = ({ body }) => ({ status: body.message?.content === 'poison' ? 500 : 200 });
  await say(scene, 'poison');
  const [poison] = await hook.waitFor(({ body }) => body.message?.content === 'poison');
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toHaveLength(1));
  await db.query('DELETE FROM slackchat_bridge.deliveries');
  await waitConfirmed(db);
  await untilSaid(scene, await newCommit(scene, 'after it was removed'));

  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = false WHERE id = $1', [webhookId]);
  await say(scene, 'missed');
  const [missed] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await waitConfirmed(db);
  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = true WHERE id = $1', [webhookId]);
  await waitConfirmed(db);
  await untilSaid(scene, await newCommit(scene, 'back'));
  expect(hook.notifications.filter((request) => covers(request, commit(poison as ReceivedRequest)))).toEqual([]);
  const since = header(hook.notifications.at(-1) as ReceivedRequest, 'slackchat-resolved-since') ?? '';
  expect(compareLsn(since, missed?.lsn ?? '')).toBeGreaterThan(0);
});

test('under reordering and crashes nothing is said to have arrived that has not', { timeout: 120_000 }, async () => {
  const scene = await createScene({ env: { RETRY_BASE_MS: '20', RETRY_MAX_MS: '100', REQUEST_TIMEOUT_MS: '500' } });
  const { db, hook, start, register } = scene;
  /** answered with 200, and each request with what had been when it came */
  const answered = new Map<string, string>();
  const claims: { readonly request: ReceivedRequest; readonly before: ReadonlySet<string> }[] = [];
  let bad = true;
  let count = 0;
  hook.respond = (request) => {
    const id = String(request.headers['webhook-id']);
    if (header(request, 'slackchat-resolved-lsn') !== undefined) claims.push({ request, before: new Set(answered.keys()) });
    count += 1;
    if (bad && count % 50 > 35) return count % 2 === 0 ? { status: 500 } : { status: 200, destroy: true };
    answered.set(id, commit(request));
    return { status: 200 };
  };
  let bridge = await start();
  await register(hook.url);
  const ids: number[] = [];
  for (let index = 0; index < 300; index += 1) {
    const known = ids[index % 20];
    if (known === undefined) ids.push(await say(scene, `m${index}`));
    else await db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [known, `v${index}`]);
    if (index % 100 === 50) {
      // It recovers, and everything arrives, before it is bad again.
      bad = false;
      await waitConfirmed(db);
      await untilSaid(scene, await newCommit(scene, `recovered ${index}`));
      bad = true;
    }
    if (index % 100 === 99) {
      await bridge.stop(index === 199 ? 'SIGTERM' : 'SIGKILL');
      bridge = await start();
    }
  }
  bad = false;
  await waitConfirmed(db);
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]), { timeoutMs: 30_000 });
  await untilSaid(scene, await newCommit(scene, 'the end'));
  expect(answered.size).toBeGreaterThanOrEqual(300);
  for (const { request, before } of claims) {
    const missing = [...answered].filter(([id, lsn]) => covers(request, lsn) && !before.has(id));
    expect(missing, `${commit(request)} said ${header(request, 'slackchat-resolved-since') ?? ''} to ${header(request, 'slackchat-resolved-lsn') ?? ''}`).toEqual([]);
  }
  // Said more than once, and about more than nothing.
  expect(new Set(claims.map(({ request }) => header(request, 'slackchat-resolved-lsn'))).size).toBeGreaterThan(2);
});

/** What a receiver makes of all that came, in the order in which it came. */
function received(requests: readonly ReceivedRequest[]): { readonly completeness: Completeness; readonly gaps: number } {
  const completeness = new Completeness();
  let gaps = 0;
  for (const request of requests) {
    const [since, lsn] = [header(request, 'slackchat-resolved-since'), header(request, 'slackchat-resolved-lsn')];
    const [index, count] = header(request, 'slackchat-shard')?.split('/').map(Number) ?? [];
    const shard = index === undefined || count === undefined ? null : { index, count };
    if (since !== undefined && lsn !== undefined && completeness.add({ since, lsn, shard })) gaps += 1;
  }
  return { completeness, gaps };
}

/** Says things until the receiver knows that it has all that there was. */
async function untilComplete(scene: Scene): Promise<Completeness> {
  const [now] = await scene.db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return eventually(async () => {
    const before = scene.hook.notifications.length;
    for (let count = 0; count < 8; count += 1) await say(scene, 'and now');
    await scene.hook.waitForNotifications(before + 8);
    const { completeness } = received(scene.hook.notifications);
    expect(compareLsn(completeness.lsn ?? '0/0', now?.lsn ?? '')).toBeGreaterThan(0);
    return completeness;
  }, { timeoutMs: 30_000 });
}

test('a receiver is complete over restarts and kills of the bridge, and over a lost slot it is not', { timeout: 90_000 }, async () => {
  const scene = await createScene();
  const { db, hook, start } = scene;
  let bridge = await start();
  await scene.register(hook.url);
  const first = await untilComplete(scene);
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
    // What is under way, and what comes while it is away.
    await Promise.all(Array.from({ length: 20 }, async (_item, index) => say(scene, `${signal} ${index}`)));
    await bridge.stop(signal);
    await say(scene, 'while it was away');
    bridge = await start();
    const { since } = await untilComplete(scene);
    expect([since, received(hook.notifications).gaps]).toEqual([first.since, 0]);
  }
  // Something is removed that did not arrive, and the bridge is killed before it can know of it.
  hook.respond = ({ body }) => ({ status: body.message?.content === 'poison' ? 500 : 200 });
  await say(scene, 'poison');
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toHaveLength(1));
  await waitConfirmed(db);
  bridge.kill('SIGSTOP');
  await db.query('DELETE FROM slackchat_bridge.deliveries');
  await bridge.stop('SIGKILL');
  bridge = await start();
  await untilComplete(scene);
  expect(received(hook.notifications).gaps).toBe(1);

  await bridge.stop('SIGKILL');
  // The server may not know yet that nobody is there any more.
  await eventually(async () => db.query('SELECT pg_drop_replication_slot($1)', [db.slotName]));
  await say(scene, 'never told');
  await start();
  await untilComplete(scene);
  expect(received(hook.notifications).gaps).toBe(2);
});

test('with SHARD a receiver is complete once all of them say so, also when one is killed, and when their number changes', { timeout: 120_000 }, async () => {
  const scene = await createScene();
  const { db, hook, env } = scene;
  const [first, second] = await startShards(scene, 2);
  await scene.register(hook.url);
  await untilComplete(scene);
  // One of two is away: what it has not told is not complete, whatever the other one says.
  await second?.stop('SIGKILL');
  const { lsn } = received(hook.notifications).completeness;
  for (let count = 0; count < 20; count += 1) await say(scene, 'half of them');
  await eventually(async () => expect(await db.query('SELECT confirmed_flush_lsn >= $2::pg_lsn AS passed FROM pg_replication_slots WHERE slot_name = $1', [slotsOf(db, 2)[0], lsn])).toEqual([{ passed: true }]));
  const heard = hook.notifications.length;
  const [now] = await db.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  expect(compareLsn(received(hook.notifications).completeness.lsn ?? '', now?.lsn ?? '')).toBeLessThan(0);
  const again = await scene.start({ SHARD: '2/2' });
  const { since } = await untilComplete(scene);
  expect(hook.notifications.length).toBeGreaterThan(heard);
  expect(received(hook.notifications).gaps).toBe(0);

  expect((await runCommand({ ...env, SHARD: '1/3' }, ['setup'])).code).toBe(0);
  const three = [1, 2, 3].map((index) => startBridge({ ...env, SHARD: `${index}/3` }));
  for (const one of three) await one.waitForLog(({ msg }) => msg.startsWith('standing by'), 30_000);
  for (let count = 0; count < 20; count += 1) await say(scene, 'before the change');
  await Promise.all([first, again].map(async (one) => one?.stop('SIGKILL')));
  for (let count = 0; count < 20; count += 1) await say(scene, 'while nobody tells');
  for (const one of three) await one.waitForLog(({ msg, slot }) => msg === 'streaming' && slotsOf(db, 3).includes(String(slot)), 60_000);
  const after = await untilComplete(scene);
  await waitAllConfirmed(db, 3);
  expect([after.since, received(hook.notifications).gaps]).toEqual([since, 0]);
  expect(new Set(hook.notifications.flatMap((request) => header(request, 'slackchat-shard') ?? []))).toEqual(new Set(['1/2', '2/2', '1/3', '2/3', '3/3']));
});
