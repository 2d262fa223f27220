import { expect, onTestFinished, test, vi } from 'vitest';
import { startPostgres } from '../../src/demo/postgres.js';
import { insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { startBridge } from '../support/process.js';
import { runningScene } from '../support/scene.js';

// Each starts several processes, one after the other, which a busy machine takes its time for.
vi.setConfig({ testTimeout: 90_000 });

async function post(url: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(new URL(path, url), { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{}' });
  return { status: response.status, text: await response.text() };
}

/** What the events of /api/events say, as it grows. */
async function follow(url: string, headers: Readonly<Record<string, string>> = {}): Promise<{ readonly text: () => string; readonly newest: (event: string) => unknown }> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(new URL('/api/events', url), { headers, signal: stop.signal });
  expect(response.status).toBe(200);
  let text = '';
  const read = async (): Promise<void> => {
    for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) text += part;
  };
  read().catch(() => undefined);
  return {
    text: () => text,
    newest(event) {
      const block = text.split('\n\n').slice(0, -1).findLast((one) => one.startsWith(`event: ${event}\n`));
      return block === undefined ? undefined : (JSON.parse(block.slice(block.indexOf('\n') + 7)) as unknown);
    },
  };
}

test('the page and every file that it asks for are in the built command', async () => {
  const { bridge } = await runningScene();
  const url = await bridge.adminUrl();
  const seen = new Set<string>();
  const load = async (path: string): Promise<void> => {
    if (seen.has(path)) return;
    seen.add(path);
    const response = await fetch(new URL(path, url));
    expect([path, response.status]).toEqual([path, 200]);
    const text = await response.text();
    for (const [, asked] of text.matchAll(/(?:src|href)="(\/page\/[^"]+)"/gu)) await load(asked ?? '');
    for (const [, module] of text.matchAll(/from '\.\/([^']+)'/gu)) await load(`/page/${module ?? ''}`);
  };
  await load('/');
  expect([...seen]).toEqual(expect.arrayContaining(['/page/page.css', '/page/icon.svg', '/page/main.js', '/page/series.js', '/page/format.js']));
});

test('what is asked for by POST is done, by the same SQL as everything else, and noted in the log', async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '10', RETRY_MAX_MS: '20', RETRY_MAX_AGE_MS: '500' } });
  const { db, chat, hook, bridge, webhookId } = scene;
  const url = await bridge.adminUrl();
  const events = await follow(url);

  hook.clear();
  expect(await post(url, `/api/verify/${webhookId}`)).toEqual({ status: 202, text: '{"error":null}\n' });
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  await bridge.waitForLog((line) => line['action'] === 'verify' && line['id'] === webhookId);

  expect((await post(url, `/api/resync/${webhookId}`)).status).toBe(202);
  await hook.waitFor(({ body }) => body.type === 'update_notification' && body.channel === chat.channelId && body.message === undefined);

  hook.respond = () => ({ status: 500 });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'poison' });
  await eventually(() => expect(events.newest('dead')).toEqual([expect.objectContaining({ webhookId, lastStatus: 500, body: expect.stringContaining('"content":"poison"') as string })]));
  const [dead] = await db.query<{ id: string }>('SELECT id::text FROM slackchat_bridge.deliveries');
  hook.respond = () => ({ status: 200 });
  hook.clear();
  expect((await post(url, `/api/retry/${dead?.id ?? ''}`)).status).toBe(202);
  await hook.waitFor(({ body }) => body.message?.content === 'poison');
  await eventually(() => expect(events.newest('dead')).toEqual([]));

  hook.respond = () => ({ status: 410 });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0] });
  await eventually(() => expect(events.newest('endpoints')).toEqual([expect.objectContaining({ id: webhookId, state: 'disabled', why: expect.stringContaining('410') as string })]));
  hook.respond = () => ({ status: 200 });
  expect((await post(url, `/api/enable/${webhookId}`)).status).toBe(202);
  await eventually(() => expect(events.newest('endpoints')).toEqual([expect.objectContaining({ id: webhookId, state: 'well' })]));

  for (const kind of ['verify', 'enable', 'resync', 'retry_all']) expect(await post(url, `/api/${kind}/987654`)).toEqual({ status: 404, text: '{"error":"there is no webhook 987654"}\n' });
  expect(await post(url, '/api/retry/987654')).toEqual({ status: 404, text: '{"error":"there is no delivery 987654"}\n' });
});

test('events hold each delivery and no token, secret or query; another site gets nothing done', async () => {
  const { db, chat, hook, bridge, ...scene } = await runningScene({ env: { ADMIN_TOKEN: 'hidden-admin' } });
  const url = await bridge.adminUrl();
  const id = await scene.register(`${hook.url}?key=hidden-key`, { token: 'hidden-token', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' });
  expect((await fetch(new URL('/api/events', url))).status).toBe(401);
  const authorization = 'Bearer hidden-admin';
  const events = await follow(url, { authorization });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'for all to see' });
  await eventually(() => expect(events.newest('attempts')).toContainEqual(expect.objectContaining({ kind: 'delivered', status: 200, attempt: 1, latencyMs: expect.any(Number) as number })));
  await eventually(() => expect(events.newest('endpoints')).toHaveLength(2));
  expect(events.text()).toContain('for all to see');
  expect(events.text()).toContain(`${hook.url}?…`);
  expect(events.text()).not.toMatch(/hidden|whsec|test-token/u);

  hook.clear();
  expect((await post(url, `/api/verify/${id}`)).status).toBe(401);
  expect((await post(url, `/api/verify/${id}`, { authorization, origin: 'https://attacker.example' })).status).toBe(403);
  expect((await post(url, `/api/verify/${id}`, { authorization, 'content-type': 'text/plain' })).status).toBe(415);
  expect((await post(url, `/api/verify/${id}`, { authorization, origin: url })).status).toBe(202);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
  expect(hook.requests).toHaveLength(1);
});

test('an instance that stands by shows what the database knows, and what is asked of it the one that streams does', async () => {
  const { hook, env, webhookId } = await runningScene();
  const second = startBridge(env);
  await second.waitForLog(({ msg }) => msg.startsWith('standing by'));
  const url = await second.adminUrl();
  const events = await follow(url);
  await eventually(() => expect(events.newest('endpoints')).toEqual([expect.objectContaining({ id: webhookId, state: 'well', inFlight: null, lastSuccessAt: null })]));
  expect(events.newest('status')).toMatchObject({ state: 'standby', reason: null, lagSeconds: null, waiting: 0, dead: 0 });
  hook.clear();
  expect((await post(url, `/api/verify/${webhookId}`)).status).toBe(202);
  await hook.waitFor(({ body }) => body.type === 'url_verification');
});

test('while the database is away the page says so, with what was known of it, and goes on when it is back', async () => {
  const server = await startPostgres();
  onTestFinished(async () => server.dispose());
  const { bridge, webhookId } = await runningScene({ serverUrl: server.url() });
  const url = await bridge.adminUrl();
  const events = await follow(url);
  await eventually(() => expect(events.newest('endpoints')).toHaveLength(1));
  await server.stop('immediate');
  await eventually(() => expect(events.newest('status')).toMatchObject({ state: 'reconnecting', databaseFault: expect.stringMatching(/./u) as string, waiting: 0 }), { timeoutMs: 20_000 });
  expect((await post(url, `/api/verify/${webhookId}`)).status).toBe(503);
  await server.start();
  await eventually(() => expect(events.newest('status')).toMatchObject({ state: 'streaming', databaseFault: null }), { timeoutMs: 20_000 });
});
