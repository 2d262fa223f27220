import { createServer, type RequestListener } from 'node:http';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import express from 'express';
import Fastify from 'fastify';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { Signer } from '../../src/deliver/signature.js';
import { handler, type Handler } from '../../src/receiver/index.js';
import { listenOnFreePort } from '../support/port.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}/hook`;
}

async function fastify(handle: Handler, raw: boolean): Promise<string> {
  const app = Fastify();
  onTestFinished(async () => app.close());
  if (raw) app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  // As the application itself would write it: what the handler returns is what Fastify waits for.
  app.post('/hook', handle);
  return `${await app.listen({ host: '127.0.0.1', port: 0 })}/hook`;
}

/** Every way in which a server can come to the handler; `raw`: with the body as it came. */
const servers: Readonly<Record<string, { readonly raw: boolean; readonly start: (handle: Handler) => Promise<string> }>> = {
  'node:http': { raw: true, start: async (handle) => serve((request, response) => void handle(request, response)) },
  Express: { raw: true, start: async (handle) => serve(express().post('/hook', handle)) },
  'Express, body read by express.raw': { raw: true, start: async (handle) => serve(express().use(express.raw({ type: '*/*' })).post('/hook', handle)) },
  'Express, body parsed by express.json': { raw: false, start: async (handle) => serve(express().use(express.json()).post('/hook', handle)) },
  Fastify: { raw: false, start: async (handle) => fastify(handle, false) },
  'Fastify, body kept as a buffer': { raw: true, start: async (handle) => fastify(handle, true) },
};

test.each(Object.entries(servers))('the handler fits %s', async (_name, { raw, start }) => {
  const onMessage = vi.fn(({ message }: { message: { content?: string } }) => {
    if (message.content === 'fail') throw new Error('no');
  });
  const results: number[] = [];
  const url = await start(handler({ token: 't', ...(raw ? { secret: SECRET } : {}), onMessage, onResult: ({ status }) => results.push(status) }));
  const send = async (fields: object, id = 'm'): Promise<{ status: number; body: string }> => {
    const body = JSON.stringify({ token: 't', ...fields });
    const at = Math.floor(Date.now() / 1000);
    const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': new Signer(SECRET).sign(id, at, Buffer.from(body)) };
    const response = await fetch(url, { method: 'POST', body, headers });
    return { status: response.status, body: await response.text() };
  };
  const update = (content: string): object => ({ type: 'update_notification', channel: 'c', chat_type: 'x', update_type: 'message_changed', message: { timestamp: '1', content } });
  expect(await send({ type: 'url_verification', challenge: 'abc' })).toEqual({ status: 200, body: 'abc' });
  expect((await send({ type: 'url_verification', challenge: 'abc', token: 'x' })).status).toBe(403);
  expect((await send(update('ü'), '1')).status).toBe(200);
  expect((await send(update('ü'), '1')).status).toBe(200);
  expect((await send(update('fail'), '2')).status).toBe(500);
  expect((await send({ ...update('x'), token: undefined })).status).toBe(403);
  expect(onMessage.mock.calls.map(([{ message }]) => message.content)).toEqual(['ü', 'fail']);
  expect(results).toEqual([200, 403, 200, 200, 500, 403]);
});

test('a body that something has parsed before is refused when a signature is asked for, and the reason is told', async () => {
  const reasons: string[] = [];
  const url = await serve(express().use(express.json()).post('/hook', handler({ token: 't', secret: SECRET, onResult: ({ reason }) => reasons.push(reason) })));
  expect((await fetch(url, { method: 'POST', body: '{"token": "t"}', headers: { 'content-type': 'application/json' } })).status).toBe(500);
  expect(reasons).toEqual([expect.stringContaining('give the handler the raw body')]);
});

const consumer = `
import { handler, parse, verify, PayloadError, type MessageNotification, type SeenStore } from 'slackchat-bridge/receiver';

const texts: string[] = [];
const seen: SeenStore = { has: async (id) => texts.includes(id), add: async (id) => void texts.push(id) };
const handle = handler({
  token: 't', seen,
  onMessage: (notification: MessageNotification) => texts.push(notification.message.content ?? ''),
  onRepublish: ({ channel_data: data }) => texts.push(data === null ? 'gone' : data.slice(0, 1)),
});
const request = new Request('http://x/', { method: 'POST', body: JSON.stringify({ token: 't', type: 'url_verification', challenge: 'abc' }) });
const response: Response = await handle(request);
const payload = parse({ token: 't', type: 'update_notification', channel: 'c', chat_type: 'x' });
if (payload.type === 'update_notification' && payload.message) texts.push(payload.update_type, payload.message.timestamp);
let caught = '';
try { parse('{}'); } catch (error) { if (error instanceof PayloadError) caught = error.field; }
try { verify({}, '', 'whsec_AAAA'); } catch (error) { caught += ' ' + String(error); }
process.stdout.write((await response.text()) + ' ' + caught);
`;

test('slackchat-bridge/receiver has its types, and runs where nothing else is installed', async () => {
  expect(inject('buildError')).toBe('');
  const folder = await mkdtemp(join(tmpdir(), 'receiver-package-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '@types'), { recursive: true });
  await cp(join(root, 'package.json'), join(modules, 'slackchat-bridge/package.json'));
  await cp(join(root, 'dist/receiver'), join(modules, 'slackchat-bridge/dist/receiver'), { recursive: true });
  await symlink(join(root, 'node_modules/@types/node'), join(modules, '@types/node'));
  await writeFile(join(folder, 'consumer.mts'), consumer);
  const options = ['--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--lib', 'es2022'];
  const checked = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, 'consumer.mts'], { cwd: folder }).catch((error: unknown) => error);
  expect(checked).toMatchObject({ stdout: '' });
  const { stdout } = await run(process.execPath, ['consumer.mjs'], { cwd: folder });
  expect(stdout).toBe('abc token SignatureError: the request is not signed');
});
