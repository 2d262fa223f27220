import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { startReceiver, type ReceivedRequest, type Receiver } from '../support/receiver.js';
import { createScene, waitConfirmed, type Scene } from '../support/scene.js';

const DOC = readFileSync(join(import.meta.dirname, '../../docs/take-over.md'), 'utf8');

/** The SQL of a section of docs/take-over.md, block by block. */
function sqlOf(heading: string): string[] {
  const section = DOC.split('\n## ').find((part) => part.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/```sql\n([^]*?)```/gu)].map((match) => match[1] ?? '');
}

/** The application: people save messages without a pause, and a worker posts to the rows that are verified when it comes to that. */
interface Application {
  /** Nobody can save, and the worker has done what was queued before. */
  readonly drained: () => Promise<void>;
  /** It works off nothing more. */
  readonly stopPosting: () => void;
  /** No more saves, and all of those before are posted. @returns the texts that were saved */
  readonly end: () => Promise<readonly string[]>;
  /** So many messages more have been saved. */
  readonly goOn: (count?: number) => Promise<void>;
}

/** On a machine that is busy with other things. */
const LONG = { timeout: 90_000 };

const PEOPLE = ['a', 'b', 'c'];

function startApplication({ db, chat }: Scene): Application {
  const queue: { readonly text: string; readonly kind: string }[] = [];
  const saved: string[] = [];
  const state = { working: false, saving: true, posting: true };
  const [user] = chat.userIds;

  async function person(name: string): Promise<void> {
    for (let n = 0; state.saving; n += 1) {
      const text = `${name}${n}`;
      const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: user, text, serialized: { content: text } });
      queue.push({ text, kind: 'message_created' });
      // As the application does it: the child in a transaction of its own, then the message again.
      await insertReaction(db.pool, { messageId, userId: user });
      await db.query('UPDATE slackchat_message SET serialized = $2 WHERE id = $1', [messageId, JSON.stringify({ content: text, reactions: [1] })]);
      queue.push({ text, kind: 'message_changed' });
      saved.push(text);
      // A worker that cannot keep up would make the test long.
      do await sleep(5);
      while (queue.length > 10 && state.saving && state.posting);
    }
  }

  async function worker(): Promise<void> {
    while (state.posting && (state.saving || queue.length > 0)) {
      const task = queue.shift();
      if (task === undefined) {
        await sleep(2);
        continue;
      }
      state.working = true;
      await sleep(3);
      const rows = await db.query<{ endpoint: string }>('SELECT endpoint FROM slackchat_webhook WHERE verified');
      for (const { endpoint } of rows) {
        const body = JSON.stringify({ token: 'test-token', type: 'update_notification', update_type: task.kind, message: { content: task.text } });
        await fetch(endpoint, { method: 'POST', body }).then(async (answer) => answer.arrayBuffer());
      }
      state.working = false;
    }
  }

  const people = Promise.all(PEOPLE.map(person));
  const posted = worker();
  people.catch(() => undefined);
  posted.catch(() => undefined);
  onTestFinished(async () => {
    Object.assign(state, { saving: false, posting: false });
    await Promise.allSettled([people, posted]);
  });
  return {
    drained: async () => {
      // Each waits for the lock: of what was committed before, everything is in the queue by now.
      await eventually(async () => expect(await db.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")).toHaveLength(PEOPLE.length));
      await eventually(() => expect([queue.length, state.working]).toEqual([0, false]), { timeoutMs: 30_000 });
    },
    stopPosting: () => {
      state.posting = false;
    },
    end: async () => {
      state.saving = false;
      await people;
      await posted;
      return saved;
    },
    goOn: async (count = 20) => {
      const before = saved.length;
      await eventually(() => expect(saved.length).toBeGreaterThan(before + count), { timeoutMs: 30_000 });
    },
  };
}

interface Move extends Scene {
  readonly app: Application;
  readonly hooks: readonly Receiver[];
}

/** An application with two receivers that it has verified, and a third that it has not. */
async function beforeTheMove(): Promise<Move> {
  // So that a machine under load does not break the pairs of transactions apart.
  const scene = await createScene({ env: { SETTLE_MS: '10000' } });
  const other = await startReceiver();
  onTestFinished(async () => other.close());
  const hooks = [scene.hook, other];
  for (const { url } of hooks) await scene.db.query('INSERT INTO slackchat_webhook (endpoint, verified) VALUES ($1, true)', [url]);
  const app = startApplication(scene);
  await app.goOn();
  return { ...scene, app, hooks };
}

const byBridge = ({ headers }: ReceivedRequest): boolean => headers['webhook-id'] !== undefined;
const what = ({ body }: ReceivedRequest): string => `${body.update_type ?? ''} ${body.message?.content ?? ''}`;

/** How often each was announced to a receiver, by whomever; a request that is repeated counts once. */
function announcements(hook: Receiver): Map<string, number> {
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  for (const request of hook.notifications) {
    const id = request.headers['webhook-id'];
    if (typeof id === 'string' && seen.has(id)) continue;
    if (typeof id === 'string') seen.add(id);
    counts.set(what(request), (counts.get(what(request)) ?? 0) + 1);
  }
  return counts;
}

const expected = (saved: readonly string[]): string[] => saved.flatMap((text) => [`message_created ${text}`, `message_changed ${text}`]).sort();

async function noRow(scene: Scene, sql: string | undefined): Promise<void> {
  await eventually(async () => expect(await scene.db.query(sql ?? '')).toEqual([]));
}

/** Closed if it fails, so that its lock is not left behind. */
async function inOneSession({ db }: Scene, work: (session: PoolClient) => Promise<void>): Promise<void> {
  const session = await db.pool.connect();
  let failed = true;
  try {
    await work(session);
    failed = false;
  } finally {
    session.release(failed);
  }
}

async function expectExactlyOnce({ db, app, hooks }: Move): Promise<void> {
  await app.goOn();
  const saved = await app.end();
  await waitConfirmed(db);
  for (const hook of hooks) {
    await eventually(() => expect([...announcements(hook).keys()].sort()).toEqual(expected(saved)));
    expect([...announcements(hook)].filter(([, count]) => count !== 1)).toEqual([]);
    // Both had their share, or nothing was shown.
    expect(hook.notifications.filter(byBridge).length).toBeGreaterThan(20);
    expect(hook.notifications.filter((request) => !byBridge(request)).length).toBeGreaterThan(20);
  }
}

test('into the bridge\'s table: every save is announced exactly once, by the one or the other', LONG, async () => {
  const move = await beforeTheMove();
  const { db, app, hooks, start } = move;
  const [register, check, lock, change] = sqlOf('Into the bridge\'s table');
  await start();
  await db.query(register ?? '');
  await noRow(move, check);
  await app.goOn();
  expect(hooks.flatMap((hook) => hook.notifications.filter(byBridge))).toEqual([]);
  await inOneSession(move, async (session) => {
    await session.query(lock ?? '');
    await app.drained();
    await session.query(change ?? '');
  });
  await expectExactlyOnce(move);
  expect(await db.query('SELECT FROM slackchat_webhook')).toEqual([]);
});

test('into the application\'s table: every save is announced exactly once, and its rows are the endpoints from then on', LONG, async () => {
  const move = await beforeTheMove();
  const { db, app, hooks, hook, start } = move;
  const [register, check, lock, change] = sqlOf('Into the application\'s table');
  const quiet = await start();
  await db.query(register ?? '');
  await noRow(move, check);
  await app.goOn();
  await quiet.stop();
  const bridge = await start({ APP_WEBHOOKS: 'mirror' });
  await app.goOn();
  expect(hooks.flatMap((one) => one.notifications.filter(byBridge))).toEqual([]);
  await inOneSession(move, async (session) => {
    await session.query(lock ?? '');
    await app.drained();
    app.stopPosting();
    await session.query(change ?? '');
  });
  // The position is remembered, not only in memory.
  await app.goOn(5);
  await bridge.stop('SIGKILL');
  await start({ APP_WEBHOOKS: 'mirror' });
  await expectExactlyOnce(move);
  await db.query('DELETE FROM slackchat_webhook WHERE endpoint = $1', [hook.url]);
  await eventually(async () => expect(await db.query('SELECT endpoint FROM slackchat_bridge.webhooks')).toEqual([{ endpoint: hooks[1]?.url }]));
});

test('without a pause: every save is announced, and only those between the two statements by both', LONG, async () => {
  const move = await beforeTheMove();
  const { db, app, hooks, start } = move;
  const [register, check] = sqlOf('Into the bridge\'s table');
  const [begin, end] = sqlOf('Without a pause');
  await start();
  await db.query(register ?? '');
  await noRow(move, check);
  await db.query(begin ?? '');
  // A task that was queued before the statement is done when one that was queued after it is posted.
  const [next] = await db.query<{ text: string }>('SELECT text FROM slackchat_message ORDER BY id DESC LIMIT 1');
  await hooks[0]?.waitFor((request) => !byBridge(request) && what(request) === `message_changed ${next?.text ?? ''}`, { timeoutMs: 30_000 });
  await app.goOn();
  await db.query(end ?? '');
  await app.goOn();
  const saved = await app.end();
  await waitConfirmed(db);
  for (const hook of hooks) {
    await eventually(() => expect([...announcements(hook).keys()].sort()).toEqual(expected(saved)));
    expect([...announcements(hook).values()].every((count) => count <= 2)).toBe(true);
  }
});

test('a position that is passed, or of another server, is forgotten at the next start; one that is never reached is not', async () => {
  const scene = await createScene();
  const { db, chat, hook, start } = scene;
  const bridge = await start();
  const register = async (path: string, position: string): Promise<unknown> =>
    db.query(`INSERT INTO slackchat_bridge.webhooks (endpoint, deliver_from) VALUES ($1, ${position})`, [hook.url + path]);
  await register('/passed', 'pg_current_wal_insert_lsn()');
  await register('/other', "'FFFFFFFE/0'");
  await register('/never', "'FFFFFFFF/FFFFFFFF'");
  await noRow(scene, 'SELECT FROM slackchat_bridge.webhooks WHERE NOT verified');
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0] });
  await hook.waitForNotifications(1);
  await waitConfirmed(db);
  expect(hook.notifications.map(({ path }) => path)).toEqual(['/hook/passed']);
  await bridge.stop();
  hook.clear();
  await start();
  expect(await db.query('SELECT deliver_from FROM slackchat_bridge.webhooks ORDER BY id')).toEqual([{ deliver_from: null }, { deliver_from: null }, { deliver_from: 'FFFFFFFF/FFFFFFFF' }]);
  await waitConfirmed(db);
  // Nobody is challenged for that.
  expect(hook.requests).toEqual([]);
});
