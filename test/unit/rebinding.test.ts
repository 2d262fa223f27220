import type { LookupAddress } from 'node:dns';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { EndpointClient, type Answer } from '../../src/deliver/attempt.js';
import { Egress, type EgressRules } from '../../src/deliver/egress.js';
import { IdleConnections } from '../../src/deliver/idle-connections.js';
import { startReceiver } from '../support/receiver.js';

/** The system's resolver, which answers what an attacker's name server would, one answer after the other. */
const dns = vi.hoisted(() => ({ answers: [] as LookupAddress[][], asked: [] as string[] }));
vi.mock('node:dns', async (original) => ({
  ...(await original<object>()),
  lookup(hostname: string, _options: unknown, callback: (error: Error | null, addresses: LookupAddress[]) => void) {
    dns.asked.push(hostname);
    const answer = dns.answers.shift() ?? [];
    queueMicrotask(() => callback(null, answer));
  },
}));

const v4 = (address: string): LookupAddress => ({ address, family: 4 });
const LOCAL = v4('127.0.0.1');
const METADATA = v4('169.254.169.254');
const BODY = Buffer.from('{"type":"x"}');

beforeEach(() => {
  dns.asked.length = 0;
});

async function post(port: number, rules: Partial<EgressRules> = {}): Promise<Answer[]> {
  const client = new EndpointClient(`http://rebinding.example:${port}/`, 1, 5_000, new Egress({ mode: 'private', allow: [], deny: [], ...rules }), new IdleConnections(64));
  onTestFinished(async () => client.destroy());
  const send = async (): Promise<Answer> => new Promise((resolve) => client.send({ headers: [], body: { parts: [BODY], bytes: BODY.length } }, resolve));
  return [await send(), await send()];
}

test('a name is resolved once for a connection, and what is connected to is what was checked', async () => {
  const hook = await startReceiver();
  onTestFinished(async () => hook.close());
  // Whoever asked again would be sent to the metadata service.
  dns.answers = [[LOCAL], [METADATA], [METADATA]];
  expect((await post(hook.port)).map(({ outcome }) => outcome.kind)).toEqual(['delivered', 'delivered']);
  expect(dns.asked).toEqual(['rebinding.example']);
  expect(hook.requests).toHaveLength(2);
});

test('of several addresses only those that are permitted are tried', async () => {
  const hook = await startReceiver();
  onTestFinished(async () => hook.close());
  dns.answers = [[METADATA, LOCAL]];
  expect((await post(hook.port))[0]?.outcome.kind).toBe('delivered');
  expect(hook.requests).toHaveLength(2);
});

test.each([
  ['the metadata service', METADATA],
  ['it inside an IPv6 address', { address: '::ffff:169.254.169.254', family: 6 }],
  ['it behind NAT64', { address: '64:ff9b::a9fe:a9fe', family: 6 }],
])('a name that resolves to %s is not connected to, and every attempt asks again', async (_what, address) => {
  const hook = await startReceiver();
  onTestFinished(async () => hook.close());
  dns.answers = [[address], [address]];
  for (const { outcome } of await post(hook.port)) {
    expect(outcome).toMatchObject({ kind: 'failed', status: null, reason: expect.stringContaining('connection refused by the egress rules: rebinding.example') as string });
  }
  expect(dns.asked).toHaveLength(2);
  expect(hook.requests).toEqual([]);
});

test('with EGRESS=public a public name that comes to point at loopback is refused', async () => {
  const hook = await startReceiver();
  onTestFinished(async () => hook.close());
  dns.answers = [[LOCAL], [LOCAL]];
  for (const { outcome } of await post(hook.port, { mode: 'public' })) expect(outcome).toMatchObject({ kind: 'failed', reason: expect.stringContaining('EGRESS is public') as string });
  expect(hook.requests).toEqual([]);
});
