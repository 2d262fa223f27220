import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Activity } from '../../src/admin/activity.js';
import { Live, type Rows } from '../../src/admin/live.js';
import type { EndpointRow, EndpointStatus, Status } from '../../src/status.js';
import { eventually } from '../support/eventually.js';
import { listenOnFreePort } from '../support/port.js';

const ENDPOINT: EndpointStatus = {
  id: '1', endpoint: 'http://a/', enabled: true, verified: true, verifying: false, failing: true, inFlight: 2, queued: 3, waiting: 0, dead: 0,
  lastSuccessAt: null, failingSince: '2026-01-01T00:00:00.000Z', nextProbeAt: '2099-01-01T00:00:00.000Z',
};
const STATUS: Status = {
  version: '1', state: 'streaming', reason: null, since: '2026-01-01T00:00:00.000Z', slot: 's', shard: null, receivedLsn: null, confirmedLsn: null, lagBytes: 0, lagSeconds: 0, walStatus: 'reserved', retainedBytes: 0, safeBytes: null,
  bufferedBytes: 0, unsettledTransactions: 0, endpoints: [ENDPOINT], refusedRows: [],
};
const ROW: EndpointRow = {
  id: '1', endpoint: 'http://a/', enabled: true, verified: true, verifiedAt: null, chatTypes: null, updateTypes: null, ordering: 'message', disabledReason: null, lastError: 'status 503',
  lastErrorAt: null, waiting: 4, dead: 1, nextAttemptAt: '2026-01-01T00:00:00.000Z', waitingSince: null,
};

interface Watcher {
  readonly response: IncomingMessage;
  /** the data of all events of this name */
  readonly of: (name: string) => readonly unknown[];
}

interface Stage {
  readonly live: Live;
  readonly activity: Activity;
  readonly asked: () => number;
  readonly watch: () => Promise<Watcher>;
  /** answers whose connection is over */
  readonly ended: () => number;
}

async function stage(rows: () => Promise<Rows> = async () => Promise.resolve({ endpoints: [ROW], dead: [] })): Promise<Stage> {
  let asked = 0;
  let ended = 0;
  const activity = new Activity();
  const live = new Live({
    status: () => STATUS,
    activity,
    rows: async () => {
      asked += 1;
      return rows();
    },
  });
  const server: Server = createServer((_request, response) => {
    response.once('close', () => (ended += 1));
    if (!live.attach(response)) response.writeHead(503).end();
  });
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    live.close();
    server.closeAllConnections();
    server.close();
  });
  return {
    live, activity, asked: () => asked, ended: () => ended,
    watch: async () =>
      new Promise((resolve, reject) => {
        get({ port, host: '127.0.0.1', agent: false }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part)).on('error', () => undefined);
          resolve({ response, of: (name) => text.split('\n\n').flatMap((block) => (block.startsWith(`event: ${name}\n`) ? [JSON.parse(block.slice(block.indexOf('\n') + 7)) as unknown] : [])) });
        }).on('error', reject);
      }),
  };
}

const attempt = (activity: Activity, content: string): void =>
  activity.attempted('1', { notificationId: content, channelId: 'c', body: `{"content":"${content}"}` }, { kind: 'delivered', status: 200 }, 1, 1, null, Date.now());

test('who comes is told everything, then only what is new', async () => {
  const { activity, watch } = await stage();
  attempt(activity, 'before');
  const watcher = await watch();
  expect(watcher.response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  await eventually(() => expect(watcher.of('endpoints')).toHaveLength(1));
  // The row and what the process knows are one; a failing endpoint waits for its probe.
  expect(watcher.of('endpoints')[0]).toEqual([expect.objectContaining({ state: 'failing', why: 'status 503', waiting: 4, dead: 1, inFlight: 2, nextAttemptAt: '2099-01-01T00:00:00.000Z' })]);
  expect(watcher.of('status').at(-1)).toMatchObject({ state: 'streaming', inFlight: 2, waiting: 4, dead: 1, databaseFault: null });
  expect(watcher.of('status').at(-1)).not.toHaveProperty('endpoints');
  attempt(activity, 'after');
  await eventually(() => expect(watcher.of('attempts')).toEqual([[expect.objectContaining({ notificationId: 'before' })], [expect.objectContaining({ notificationId: 'after' })]]));
  await eventually(() => expect(watcher.of('status').length).toBeGreaterThan(3));
  expect(watcher.of('endpoints')).toHaveLength(1);
  expect(watcher.of('dead')).toHaveLength(1);
});

test('the database is asked while somebody looks, once for all who do, and not while nobody does', async () => {
  const { asked, ended, watch } = await stage();
  expect(asked()).toBe(0);
  const watchers = await Promise.all([watch(), watch(), watch()]);
  await eventually(() => {
    for (const watcher of watchers) expect(watcher.of('status').length).toBeGreaterThan(2);
  });
  // Once a second, and once more for each who came.
  expect(asked()).toBeLessThan(Math.max(...watchers.map((watcher) => watcher.of('status').length)) + 4);
  for (const { response } of watchers) response.destroy();
  await eventually(() => expect(ended()).toBe(3));
  const rested = asked();
  // Longer than the pause between two questions: nothing is to be seen but that none comes.
  await delay(1_500);
  expect(asked()).toBe(rested);
  await watch();
  await eventually(() => expect(asked()).toBeGreaterThan(rested));
});

test('a database that does not answer is said; what was known of it stays', async () => {
  let broken = false;
  const { live, watch } = await stage(async () => {
    if (broken) throw new Error('connection refused');
    return Promise.resolve({ endpoints: [ROW], dead: [] });
  });
  const watcher = await watch();
  await eventually(() => expect(watcher.of('endpoints')).toHaveLength(1));
  broken = true;
  live.refresh();
  await eventually(() => expect(watcher.of('status').at(-1)).toMatchObject({ databaseFault: 'connection refused', waiting: 4 }));
  broken = false;
  await eventually(() => expect(watcher.of('status').at(-1)).toMatchObject({ databaseFault: null }));
  expect(watcher.of('endpoints')).toHaveLength(1);
});

test('so many may look and no more, until one goes', async () => {
  const { watch } = await stage();
  const watchers = await Promise.all(Array.from({ length: 16 }, watch));
  expect(watchers.map(({ response }) => response.statusCode)).toEqual(watchers.map(() => 200));
  expect((await watch()).response.statusCode).toBe(503);
  watchers[0]?.response.destroy();
  await eventually(async () => expect((await watch()).response.statusCode).toBe(200));
});

test('one that does not read is cut off before it holds much memory', async () => {
  const { live, activity, watch, ended } = await stage();
  const { response } = await watch();
  response.pause();
  // Each round says something new of a hundred attempts; nothing of it is read.
  const rounds = setInterval(() => {
    for (let count = 0; count < 100; count += 1) attempt(activity, `${count}${'x'.repeat(2_000)}`);
    live.refresh();
  }, 5);
  onTestFinished(() => clearInterval(rounds));
  await eventually(() => expect(ended()).toBe(1), { timeoutMs: 20_000 });
});
