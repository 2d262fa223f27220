import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFailed, onTestFinished, test } from 'vitest';
import { Signer } from '../../src/deliver/signature.js';
import { insertMessage, insertReaction } from '../support/chat.js';
import type { TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { listenOnFreePort } from '../support/port.js';
import { runningScene, waitConfirmed } from '../support/scene.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const examples = join(import.meta.dirname, '../../examples');

/** PYTHON, or the first of those on the path that has both. */
function python(): string {
  const candidates = process.env['PYTHON'] === undefined ? ['python3', '/usr/bin/python3'] : [process.env['PYTHON']];
  const found = candidates.find((candidate) => spawnSync(candidate, ['-c', 'import django, flask']).status === 0);
  if (found === undefined) throw new Error(`${candidates.join(' and ')} cannot import django and flask: apt-get install python3-django python3-flask, or set PYTHON to one that can`);
  return found;
}

interface Started {
  readonly output: () => string;
  readonly url: string;
}

/** Runs it as its README says, until the end of the test. */
async function start(command: string, args: readonly string[], { folder, path, port, env = {} }: { folder: string; path: string; port: number; env?: Record<string, string> }): Promise<Started> {
  const child = spawn(command, args, {
    cwd: join(examples, folder), stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: String(port), WEBHOOK_VERIFICATION_TOKEN: 'test-token', WEBHOOK_SECRET: SECRET,
      PYTHONPATH: '../python', PYTHONDONTWRITEBYTECODE: '1', ...env,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
  const ended = new Promise((resolve) => { child.once('close', resolve); });
  onTestFailed(() => void process.stderr.write(output));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const url = `http://127.0.0.1:${port}${path}`;
  await eventually(async () => {
    expect(child.exitCode, output).toBe(null);
    await fetch(url);
  }, { timeoutMs: 20_000 });
  return { output: () => output, url };
}

const freePort = (): number => randomInt(20_000, 30_000);

const started: Readonly<Record<string, () => Promise<Started>>> = {
  'node-http': async () => start(process.execPath, ['server.mjs'], { folder: 'node-http', path: '/', port: freePort() }),
  fastify: async () => start(process.execPath, ['server.mjs'], { folder: 'fastify', path: '/slackchat', port: freePort() }),
  async django() {
    const port = freePort();
    return start(python(), ['project.py', 'runserver', '--noreload', String(port)], { folder: 'django', path: '/slackchat/', port });
  },
  async flask() {
    const port = freePort();
    return start(python(), ['-m', 'flask', 'run', '--port', String(port)], { folder: 'flask', path: '/slackchat', port });
  },
};

async function post(url: string, body: string, secret: string | null, id: string, age = 0): Promise<number> {
  const at = Math.floor(Date.now() / 1000) - age;
  const signed = secret === null ? {} : { 'webhook-id': id, 'webhook-timestamp': String(at), 'webhook-signature': new Signer(secret).sign(id, at, Buffer.from(body)) };
  return (await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...signed } })).status;
}

const lines = (output: string, text: string): number => output.split('\n').filter((line) => line.includes(text)).length;

test.each(Object.entries(started))('examples/%s is verified, prints what the bridge sends once, and refuses what others send', async (_name, run) => {
  const { output, url } = await run();
  const { db, chat, register } = await runningScene();
  await register(url, { secret: `${SECRET.replace('MfKQ', 'AfKQ')} ${SECRET}` });
  const id = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'Größe "first"' });
  await db.query("UPDATE slackchat_message SET text = 'second' WHERE id = $1", [id]);
  await db.query('DELETE FROM slackchat_message WHERE id = $1', [id]);
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await eventually(() => {
    for (const text of ['message_created', 'message_changed', 'message_deleted']) expect(lines(output(), text), output()).toBe(1);
    expect(output()).toMatch(/republish_request|to be published/u);
    expect(output()).toContain('second');
  }, { timeoutMs: 20_000 });
  // What the row says is that it is verified, and nothing was refused.
  expect(await db.query('SELECT last_error FROM slackchat_bridge.webhooks WHERE last_error IS NOT NULL')).toEqual([]);
  expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]);

  const body = JSON.stringify({ token: 'test-token', type: 'update_notification', channel: 'c', chat_type: 'x', update_type: 'message_created', message: { timestamp: '1', content: 'by hand' } });
  expect([await post(url, body, SECRET, 'm'), await post(url, body, SECRET, 'm')]).toEqual([200, 200]);
  await eventually(() => expect(lines(output(), 'by hand')).toBe(1));
  for (const refused of [
    await post(url, body, null, 'n'),
    await post(url, body, SECRET.replace('K', 'L'), 'n'),
    await post(url, body, SECRET, 'n', 400),
    await post(url, body.replace('test-token', 'test-tokem'), SECRET, 'n'),
    await post(url, body.replace('"test-token"', '1'), SECRET, 'n'),
    await post(url, body.replace('test-token', String.raw`\ud800`), SECRET, 'n'),
  ]) expect(refused).toBe(403);
  expect(await post(url, '{"token"', SECRET, 'n')).toBe(400);
  expect(await post(url, '[]', SECRET, 'n')).toBe(403);
  expect(await post(url, body, SECRET, 'n')).toBe(200);
  await eventually(() => expect(lines(output(), 'by hand')).toBe(2));
  expect(output().replace('WARNING: This is a development server.', '')).not.toMatch(/warning|traceback/iu);
});

/** The chat's API, as far as a renderer needs it: what is committed, at the moment when it is asked. */
async function api(db: TestDatabase): Promise<{ readonly url: string; readonly state: { failing: boolean; fetches: number } }> {
  const state = { failing: false, fetches: 0 };
  const server = createServer((request, response) => {
    state.fetches += 1;
    answer(request.url ?? '').then(
      (channel) => response.writeHead(state.failing ? 503 : channel === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(channel ?? null)),
      (error: unknown) => response.destroy(error instanceof Error ? error : undefined),
    );
  });
  async function answer(path: string): Promise<unknown> {
    const [id] = /[0-9a-f-]{32,}(?=\/$)/u.exec(path) ?? [''];
    const [channel] = await db.query('SELECT title FROM slackchat_channel WHERE id = $1::uuid', [id]);
    if (channel === undefined) return undefined;
    const messages = await db.query(
      `SELECT to_json(m.timestamp) AS timestamp, u.api_id AS user, m.text AS content,
              coalesce((SELECT json_agg(json_build_object('reaction', r.reaction)) FROM slackchat_reaction r WHERE r.message_id = m.id), '[]') AS reactions
         FROM slackchat_message m JOIN slackchat_user u ON u.id = m.user_id WHERE m.channel_id = $1::uuid ORDER BY m.id DESC`, [id],
    );
    return { ...channel, users: { U1: { first_name: 'User', last_name: 'U1' } }, messages: [null, ...messages] };
  }
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${port}/api/`, state };
}

test.each(['uuid', 'hex'])('examples/republisher keeps the page of a channel as the chat is, also after its API was away (CHANNEL_ID_FORMAT=%s)', async (format) => {
  const { db, chat, register } = await runningScene({ env: { CHANNEL_ID_FORMAT: format } });
  const { url: apiUrl, state } = await api(db);
  const site = await mkdtemp(join(tmpdir(), 'republisher-'));
  onTestFinished(async () => rm(site, { recursive: true }));
  const { url } = await start(process.execPath, ['republisher.mjs'], { folder: 'republisher', path: '/', port: freePort(), env: { API_URL: apiUrl, SITE: site } });
  await register(url, { secret: SECRET });
  const file = join(site, `${chat.channelId.replaceAll('-', '')}.html`);
  const page = async (): Promise<string> => readFile(file, 'utf8');
  const say = async (text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });

  const first = await say('one & <only>');
  await eventually(async () => expect(await page()).toContain('<p>one &amp; &lt;only&gt;</p>'));
  await insertReaction(db.pool, { messageId: first, userId: chat.userIds[1], reaction: 'clap' });
  await eventually(async () => expect(await page()).toContain(':clap:'));

  // Fifty at once are told fifty times, and cost far fewer fetches.
  state.fetches = 0;
  await Promise.all(Array.from({ length: 50 }, async (_item, index) => say(`many ${index}`)));
  await eventually(async () => expect((await page()).match(/<p>many \d+<\/p>/gu)).toHaveLength(50));
  expect((await page()).indexOf('one &amp;')).toBeLessThan((await page()).indexOf('many'));
  expect(state.fetches).toBeLessThan(50);

  // The page had them all before each was acknowledged.
  await waitConfirmed(db);
  state.failing = true;
  await db.query("UPDATE slackchat_message SET text = 'corrected' WHERE id = $1", [first]);
  await eventually(async () => expect(await db.query('SELECT last_status FROM slackchat_bridge.deliveries WHERE last_status IS NOT NULL')).toEqual([{ last_status: 500 }]));
  state.failing = false;
  await eventually(async () => expect(await page()).toContain('corrected'), { timeoutMs: 20_000 });

  await db.query('SELECT slackchat_bridge.unpublish($1::uuid)', [chat.channelId]);
  await eventually(async () => expect(await readdir(site)).toEqual([]));
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await eventually(async () => expect(await page()).toContain('corrected'));
});
