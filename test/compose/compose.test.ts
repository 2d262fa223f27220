import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Stack } from './stack.js';

// One stack for all: each test leaves it up, with the receiver registered.
const stack = new Stack();

beforeAll(async () => {
  await stack.docker('version', '--format', '{{.Server.Version}}').catch((error: unknown) => {
    throw new Error('npm run test:compose needs a Docker engine that answers, with the compose plugin', { cause: error });
  });
  await stack.compose('up', '-d', '--build', '--wait');
  await stack.sql("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://receiver:4800/')");
});

afterAll(async () => {
  await stack.compose('down', '-v', '--timeout', '15');
  await stack.docker('rmi', stack.image);
});

function showLogsOnFailure(): void {
  onTestFailed(async () => {
    process.stderr.write(await stack.compose('logs', '--tail', '40', 'bridge', 'receiver'));
  });
}

test('up: a message arrives at the registered receiver', async () => {
  showLogsOnFailure();
  await stack.say('first');
  await stack.arrives('first');
  expect((await stack.readyz()).status).toBe(200);
  expect(await stack.compose('exec', '-T', 'bridge', 'slackchat-bridge', 'status')).toMatch(/^1 +http:\/\/receiver:4800\/ +well /mu);
});

test('the container runs as an ordinary user below an init, writes nowhere, and its image adds little to its base', async () => {
  const inside = async (script: string): Promise<string> => stack.compose('exec', '-T', 'bridge', 'node', '-e', script);
  expect(await inside('console.log(process.getuid(), process.getgid())')).toBe('1000 1000');
  expect(await inside("console.log(fs.readFileSync('/proc/1/comm', 'utf8'))")).not.toBe('node');
  await expect(inside("fs.writeFileSync('/tmp/x', '')")).rejects.toThrow('EROFS');
  expect(await inside("console.log(/CapEff:\\s*(\\S+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1])")).toBe('0000000000000000');
  const layers = (await stack.docker('history', '--format', '{{.Size}} {{.CreatedBy}}', '--human=false', stack.image)).split('\n');
  const own = layers.slice(0, layers.findIndex((layer) => layer.includes('ENV NODE_ENV=production'))).reduce((sum, layer) => sum + Number.parseInt(layer, 10), 0);
  expect(own).toBeGreaterThan(1_000_000);
  expect(own).toBeLessThan(40_000_000);
  expect(await stack.docker('inspect', '--format', '{{.State.Health.Status}}', await stack.container('bridge'))).toBe('healthy');
});

test('the bridge is killed: what is committed meanwhile arrives after its start', async () => {
  showLogsOnFailure();
  await stack.compose('kill', '-s', 'KILL', 'bridge');
  await stack.say('while it was dead');
  await stack.compose('start', 'bridge');
  await stack.arrives('while it was dead');
});

test('the bridge is stopped: it ends by itself, well before it would be killed', async () => {
  await stack.compose('stop', 'bridge');
  expect(await stack.docker('inspect', '--format', '{{.State.ExitCode}}', await stack.container('bridge'))).toBe('0');
  await stack.say('while it was stopped');
  await stack.compose('start', 'bridge');
  await stack.arrives('while it was stopped');
});

test('the bridge is frozen: what is committed meanwhile arrives when it goes on', async () => {
  await stack.compose('pause', 'bridge');
  await stack.say('while it was frozen');
  await stack.compose('unpause', 'bridge');
  await stack.arrives('while it was frozen');
});

test('the receiver is frozen: what waits for it is parked, and arrives when it goes on', async () => {
  showLogsOnFailure();
  await stack.compose('pause', 'receiver');
  await stack.say('while nobody answered');
  await eventually(async () => expect(await stack.sql('SELECT count(*) FROM slackchat_bridge.deliveries')).toBe('1'), { timeoutMs: 30_000 });
  await stack.compose('unpause', 'receiver');
  await stack.arrives('while nobody answered');
  await eventually(async () => expect(await stack.sql('SELECT count(*) FROM slackchat_bridge.deliveries')).toBe('0'), { timeoutMs: 30_000 });
});

test('the receiver is cut off the network and comes back at another address: what waited arrives', async () => {
  showLogsOnFailure();
  await stack.cut('receiver');
  await stack.say('while the receiver was cut off');
  await eventually(async () => expect(await stack.sql('SELECT count(*) FROM slackchat_bridge.deliveries')).toBe('1'), { timeoutMs: 30_000 });
  await stack.join('receiver');
  await stack.arrives('while the receiver was cut off');
});

test('the bridge is cut off the network: it says so, and catches up when it is back', async () => {
  showLogsOnFailure();
  // How long it takes to notice follows from the server's time-out, a minute as a rule.
  await stack.sql("ALTER SYSTEM SET wal_sender_timeout = '4s'");
  await stack.compose('restart', 'postgres');
  await eventually(async () => expect((await stack.readyz()).status).toBe(200), { timeoutMs: 60_000 });
  await stack.cut('bridge');
  await stack.say('while the bridge was cut off');
  // The published port leads nowhere now; the health check asks from inside.
  const health = async (): Promise<string> => stack.docker('inspect', '--format', '{{.State.Health.Status}} {{(index .State.Health.Log (len (slice .State.Health.Log 1))).Output}}', await stack.container('bridge'));
  await eventually(async () => expect(await health()).toMatch(/^unhealthy not streaming: /u), { timeoutMs: 60_000 });
  await stack.join('bridge');
  await stack.arrives('while the bridge was cut off');
});

test('the database is restarted: the bridge comes back by itself', async () => {
  showLogsOnFailure();
  await stack.compose('restart', 'postgres');
  await stack.say('after the restart of the database');
  await stack.arrives('after the restart of the database');
});

test('down and up again: the endpoint is still registered, and no message was lost or told under two ids', async () => {
  showLogsOnFailure();
  const told = new Map<string, Set<string>>();
  for (const { content, id } of await stack.received()) told.set(content, (told.get(content) ?? new Set()).add(id));
  expect([...told].map(([content, ids]) => [content, ids.size]).sort()).toEqual(stack.said.map((text) => [text, 1]).sort());
  await stack.compose('down', '--timeout', '15');
  await stack.compose('up', '-d', '--wait');
  await stack.say('after all came up again');
  await stack.arrives('after all came up again');
  expect((await stack.received()).map(({ content }) => content)).toEqual(['after all came up again']);
});
