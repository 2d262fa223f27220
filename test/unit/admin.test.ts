import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { AdminServer } from '../../src/admin/server.js';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function admin(options: { readonly loopback?: boolean; readonly token?: string } = {}): Promise<(path: string, asked?: Asked) => Promise<Answer>> {
  const server = await AdminServer.listen(
    { host: '127.0.0.1', port: 0, loopback: options.loopback ?? true, token: options.token ?? null },
    { notReady: () => null, metrics: async () => Promise.resolve({ type: 'text/plain', text: 'metric 1\n' }), status: () => ({ state: 'streaming' }) },
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

const PATHS = ['/healthz', '/readyz', '/metrics', '/api/status', '/', '/nothing'];

test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is refused on every path: nothing is changed through this port', async (method) => {
  const ask = await admin();
  for (const path of PATHS) expect((await ask(path, { method })).status, path).toBe(405);
});

test.each(['attacker.example', 'localhost.attacker.example', '127.0.0.1.attacker.example:4747', '10.0.0.1', 'attacker.example:80@127.0.0.1', '[::2]', 'user@localhost'])(
  'on loopback the Host %s, a name that was rebound, is refused',
  async (host) => {
    const ask = await admin();
    for (const path of PATHS) expect((await ask(path, { headers: { host } })).status, path).toBe(421);
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
    for (const path of ['/metrics', '/api/status', '/', '/nothing']) {
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
