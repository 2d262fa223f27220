import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import type { Action, Perform } from '../../src/admin/actions.js';
import { Activity } from '../../src/admin/activity.js';
import { Live, type Rows } from '../../src/admin/live.js';
import { AdminServer } from '../../src/admin/server.js';
import { PreconditionError } from '../../src/errors.js';
import type { Status } from '../../src/status.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Options {
  readonly loopback?: boolean;
  readonly token?: string;
  readonly perform?: Perform;
  readonly rows?: () => Promise<Rows>;
}

const STATUS: Status = {
  version: '1', state: 'streaming', reason: null, since: '2026-01-01T00:00:00.000Z', slot: 's', shard: null, receivedLsn: null, confirmedLsn: null, lagBytes: 0, lagSeconds: 0, walStatus: 'reserved', retainedBytes: 0, safeBytes: null,
  bufferedBytes: 0, unsettledTransactions: 0, endpoints: [], refusedRows: [],
};

async function admin(options: Options = {}): Promise<(path: string, asked?: Asked) => Promise<Answer>> {
  const server = await AdminServer.listen(
    { host: '127.0.0.1', port: 0, loopback: options.loopback ?? true, token: options.token ?? null },
    { notReady: () => null, metrics: async () => Promise.resolve({ type: 'text/plain', text: 'metric 1\n' }), status: () => ({ state: 'streaming' }) },
    { live: new Live({ status: () => STATUS, activity: new Activity(), rows: options.rows ?? (async () => Promise.resolve({ endpoints: [], dead: [] })) }), perform: options.perform ?? (async () => Promise.resolve()) },
  );
  onTestFinished(async () => server.close());
  // Not fetch, which sets the Host header itself.
  return async (path, { method = 'GET', headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      httpRequest({ host: '127.0.0.1', port: server.port, path, method, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part)).on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      }).on('error', reject).end();
    });
}

const PATHS = ['/healthz', '/readyz', '/metrics', '/api/status', '/api/events', '/', '/page/page.css', '/nothing'];
const JSON_TYPE = { 'content-type': 'application/json' };

test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is refused on every path that is none of an action', async (method) => {
  const ask = await admin();
  for (const path of [...PATHS, '/api/verify', '/api/verify/0', '/api/verify/x', '/api/drop/1', '/api/verify/1/2']) expect((await ask(path, { method, headers: JSON_TYPE })).status, path).toBe(405);
});

test.each([
  ['/api/verify/3', { kind: 'verify', id: '3' }],
  ['/api/enable/3', { kind: 'enable', id: '3' }],
  ['/api/resync/3', { kind: 'resync', id: '3' }],
  ['/api/retry_all/3', { kind: 'retry_all', id: '3' }],
  ['/api/retry/922337203685477580', { kind: 'retry', id: '922337203685477580' }],
])('a POST to %s is done, any other method is not', async (path, action) => {
  const done: Action[] = [];
  const ask = await admin({ perform: async (asked) => Promise.resolve(void done.push(asked)) });
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) expect((await ask(path, { method, headers: JSON_TYPE })).status).toBe(405);
  expect(done).toEqual([]);
  expect(await ask(path, { method: 'POST', headers: JSON_TYPE })).toMatchObject({ status: 202, text: '{"error":null}\n' });
  expect(done).toEqual([action]);
});

test.each([
  ['another origin', { origin: 'https://attacker.example' }, 403],
  ['the origin of a sandboxed frame', { origin: 'null' }, 403],
  ['the same host with another port', { origin: 'http://127.0.0.1:1' }, 403],
  ['a page of another site, as the browser says', { 'sec-fetch-site': 'cross-site' }, 403],
  ['a page of another subdomain, as the browser says', { 'sec-fetch-site': 'same-site' }, 403],
  ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
  ['a form that passes for JSON', { 'content-type': 'text/plain; application/json' }, 415],
])('nothing is changed for %s', async (_what, headers, status) => {
  const done: Action[] = [];
  const ask = await admin({ perform: async (asked) => Promise.resolve(void done.push(asked)) });
  expect((await ask('/api/verify/3', { method: 'POST', headers: { ...JSON_TYPE, ...headers } })).status).toBe(status);
  expect(done).toEqual([]);
});

test('its own page may change something, and so may a script that names no origin', async () => {
  const ask = await admin();
  const own = { host: 'localhost:4747', origin: 'http://localhost:4747', 'sec-fetch-site': 'same-origin' };
  expect((await ask('/api/verify/3', { method: 'POST', headers: { ...JSON_TYPE, ...own } })).status).toBe(202);
  expect((await ask('/api/verify/3', { method: 'POST', headers: { 'content-type': 'application/json; charset=utf-8' } })).status).toBe(202);
});

test('where there is a token, nothing is changed without it', async () => {
  const done: Action[] = [];
  const ask = await admin({ loopback: false, token: 'sesame', perform: async (asked) => Promise.resolve(void done.push(asked)) });
  for (const authorization of ['', 'Bearer sesam', 'Basic sesame']) expect((await ask('/api/retry/3', { method: 'POST', headers: { ...JSON_TYPE, authorization } })).status).toBe(401);
  expect(done).toEqual([]);
  expect((await ask('/api/retry/3', { method: 'POST', headers: { ...JSON_TYPE, authorization: 'Bearer sesame' } })).status).toBe(202);
});

test.each([
  [new PreconditionError('there is no webhook 3'), 404],
  [Object.assign(new Error('there is no delivery 3'), { code: 'P0002' }), 404],
  [Object.assign(new Error('permission denied for function verify'), { code: '42501' }), 503],
])('why something was not done is answered: %s', async (error, status) => {
  const ask = await admin({
    perform: async () => {
      throw error;
    },
  });
  expect(await ask('/api/verify/3', { method: 'POST', headers: JSON_TYPE })).toMatchObject({ status, text: `${JSON.stringify({ error: error.message })}\n` });
});

test('the page and its files are there without a token, and hold no script or style of their own within the HTML', async () => {
  const ask = await admin({ loopback: false, token: 'sesame' });
  const page = await ask('/');
  expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } });
  expect(page.text).not.toMatch(/<style|<script(?![^>]* src="\/page\/)|\sstyle=|\son\w+=|https?:\/\/(?!…)/iu);
  expect(await ask('/page/page.css')).toMatchObject({ status: 200, headers: { 'content-type': 'text/css; charset=utf-8' } });
  for (const path of ['/page/', '/page/tsconfig.json', '/page/../guard.ts', '/page/%2e%2e/guard.ts', '/index.html']) expect((await ask(path, { headers: { authorization: 'Bearer sesame' } })).status, path).toBe(404);
});

test.each(['attacker.example', 'localhost.attacker.example', '127.0.0.1.attacker.example:4747', '10.0.0.1', 'attacker.example:80@127.0.0.1', '[::2]', 'user@localhost'])(
  'on loopback the Host %s, a name that was rebound, is refused',
  async (host) => {
    const ask = await admin();
    for (const path of PATHS) expect((await ask(path, { headers: { host } })).status, path).toBe(421);
    expect((await ask('/api/verify/1', { method: 'POST', headers: { ...JSON_TYPE, host, origin: `http://${host}` } })).status).toBe(421);
  },
);

test.each(['localhost', 'LOCALHOST:4747', '127.0.0.1:4747', '127.8.9.1', '[::1]:4747'])('on loopback the Host %s is one of its own', async (host) => {
  const ask = await admin();
  expect((await ask('/api/status', { headers: { host } })).status).toBe(200);
});

test('elsewhere any Host will do, and all but the health checks need the token, whatever Host is claimed', async () => {
  const ask = await admin({ loopback: false, token: 'sesame' });
  for (const host of ['bridge.internal:4747', 'localhost']) {
    for (const path of ['/healthz', '/readyz']) expect((await ask(path, { headers: { host } })).status).toBe(200);
    for (const path of ['/metrics', '/api/status', '/api/events', '/nothing']) {
      for (const authorization of ['', 'Bearer', 'Bearer sesam', 'Bearer sesame2', 'Basic sesame', 'sesame']) {
        const { status, headers } = await ask(path, { headers: { host, authorization } });
        expect([status, headers['www-authenticate']], `${path} ${authorization}`).toEqual([401, 'Bearer']);
      }
    }
    expect((await ask('/metrics', { headers: { host, authorization: 'Bearer sesame' } })).text).toBe('metric 1\n');
  }
  // Neither in the address nor in a cookie, where logs and other sites could get at it.
  expect((await ask('/metrics?token=sesame', { headers: { cookie: 'token=sesame' } })).status).toBe(401);
});

test('every answer forbids framing, sniffing, keeping and scripts from elsewhere, and says nothing of other origins', async () => {
  const ask = await admin({ token: 'sesame' });
  for (const [path, asked] of [
    ['/healthz', {}],
    ['/metrics', {}],
    ['/metrics', { headers: { authorization: 'Bearer sesame', origin: 'https://attacker.example' } }],
    ['/', { method: 'POST' }],
    ['/healthz', { headers: { host: 'attacker.example' } }],
    ['/nothing', { headers: { authorization: 'Bearer sesame' } }],
  ] as const) {
    const { headers } = await ask(path, asked);
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin' });
    expect(headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/u);
    expect(headers['content-security-policy']).not.toMatch(/unsafe|\*|http/u);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  }
});
