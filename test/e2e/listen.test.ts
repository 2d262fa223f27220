import { expect, test } from 'vitest';
import { z } from 'zod';
import { insertAttachment, insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { runCommand, startBridge, type BridgeProcess } from '../support/process.js';
import { runningScene, type Scene } from '../support/scene.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** `slackchat-bridge listen` on a free port. */
async function listen(...args: string[]): Promise<{ readonly process: BridgeProcess; readonly url: string }> {
  const process = startBridge({}, ['listen', '--port', '0', ...args]);
  const url = await eventually(() => {
    const found = /http:\/\/127\.0\.0\.1:\d+\//u.exec(process.stdout)?.[0];
    expect(found, process.stderr).toBeDefined();
    return found ?? '';
  });
  return { process, url };
}

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const linesOf = ({ stdout }: BridgeProcess): readonly string[] => stdout.trimEnd().split('\n');

test('listen shows each request on one line, readable and harmless to a terminal', async () => {
  const scene = await runningScene();
  const { db, chat, register } = scene;
  const { process, url } = await listen('--token', 'test-token');
  await register(url);
  const id = await say(scene, 'Hello\n\u001B[2Jthere');
  await insertReaction(db.pool, { messageId: id, userId: chat.userIds[1], reaction: 'clap' });
  await insertAttachment(db.pool, { messageId: id });
  await db.query('SELECT slackchat_bridge.request_update($1::uuid)', [chat.channelId]);
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await eventually(() => expect(linesOf(process)).toHaveLength(7));
  await db.query("SELECT slackchat_bridge.replay('2001-01-01')");
  await eventually(() => expect(linesOf(process)).toHaveLength(8));
  await fetch(url, { method: 'POST', body: '{"token": "test-tokem"}' });
  await eventually(() => expect(linesOf(process)).toHaveLength(9));

  const lines = linesOf(process).slice(1).map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} {2}/u, '').replace(/ {2}id=[\w-]+$/u, '  id').replaceAll(chat.channelId, 'ID'));
  expect(lines[0]).toBe('url_verification  challenge answered  id');
  expect(lines).toContain('message_created  default ID  U1: Hello \\u{1b}[2Jthere  id');
  expect(lines).toContain('message_changed  default ID  U1: Hello \\u{1b}[2Jthere  [:clap: 1 attached]  id');
  expect(lines).toContain('update_notification  default ID  id');
  expect(lines).toContain('message_changed  default ID  U1: Hello \\u{1b}[2Jthere  [:clap: 1 attached]  replay  id');
  expect(lines.find((line) => line.startsWith('republish_request'))).toMatch(/^republish_request {2}default ID {2}channel_data of \d+ characters {2}id$/u);
  expect(lines.at(-1)).toBe('refused  answered 403: the token is wrong');
});

const Line = z.object({ at: z.string(), id: z.string().nullable(), status: z.number(), reason: z.string().optional(), repeat: z.boolean(), payload: z.looseObject({ type: z.string(), message: z.looseObject({}).optional() }).nullable() });

test('listen --json --secret gives each request as JSON without its token, checked; --fail and --delay answer as they are told', async () => {
  const scene = await runningScene({ env: { RETRY_MAX_MS: '100' } });
  const { process, url } = await listen('--token', 'test-token', '--secret', SECRET, '--json', '--fail', '503:0.5', '--delay', '30');
  await scene.register(url, { secret: SECRET });
  const texts = Array.from({ length: 20 }, (_item, index) => `text ${index}`);
  for (const text of texts) await say(scene, text);
  const parsed = (): z.infer<typeof Line>[] => linesOf(process).slice(1).map((line) => Line.parse(JSON.parse(line)));
  await eventually(() => expect(new Set(parsed().filter(({ status, payload }) => status === 200 && payload?.message !== undefined).map(({ id }) => id)).size).toBe(texts.length), { timeoutMs: 20_000 });
  expect(JSON.parse(linesOf(process)[0] ?? '')).toEqual({ listening: url });
  expect(process.stdout).not.toContain('test-token');
  const told = parsed().filter(({ payload }) => payload?.type === 'update_notification');
  // Half of them: that none or all of twenty fail has a chance of one in a million.
  expect(new Set(told.map(({ status, reason }) => `${status} ${reason ?? ''}`))).toEqual(new Set(['200 ', '503 as --fail asks for']));
  const started = performance.now();
  const unsigned = await fetch(url, { method: 'POST', body: '{"token": "test-token", "type": "update_notification", "channel": "c", "chat_type": "x"}' });
  expect(unsigned.status).toBe(403);
  expect(performance.now() - started).toBeLessThan(5_000);
});

test('listen answers so much later as --delay says, and says what is wrong with its options', async () => {
  const { url } = await listen('--delay', '150');
  const started = performance.now();
  const body = '{"token": "any", "type": "update_notification", "channel": "c", "chat_type": "x"}';
  expect((await fetch(url, { method: 'POST', body })).status).toBe(200);
  expect(performance.now() - started).toBeGreaterThan(145);
  for (const [args, why] of [
    [['--fail', '200'], 'a status from 400 to 599'], [['--fail', '500:2'], 'a share from 0 to 1'], [['--delay', 'soon'], 'milliseconds'],
    [['--secret', 'hunter2'], 'whsec_'], [['--port', '70000'], 'a port number'], [['--token', ''], 'not empty'],
  ] as const) {
    const { code, stderr } = await runCommand({}, ['listen', ...args]);
    expect(code, stderr).toBe(2);
    expect(stderr).toContain(why);
    expect(stderr).not.toContain('hunter2');
  }
});
