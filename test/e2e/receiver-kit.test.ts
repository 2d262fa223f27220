import { createServer } from 'node:http';
import { Ajv, type ValidateFunction } from 'ajv';
import { expect, onTestFinished, test } from 'vitest';
import { handler, parse, type HandlerOptions, type Payload, type Result } from '../../src/receiver/index.js';
import { schemas, type SchemaName } from '../../scripts/schemas.js';
import { insertArgument, insertAttachment, insertKwarg, insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { listenOnFreePort } from '../support/port.js';
import { createScene, runningScene, waitConfirmed } from '../support/scene.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** The kit's handler behind node:http. */
async function kit(options: HandlerOptions): Promise<{ readonly url: string; readonly results: readonly Result[] }> {
  const results: Result[] = [];
  const handle = handler({ ...options, onResult: (result) => results.push(result) });
  const server = createServer((request, response) => void handle(request, response));
  const port = await listenOnFreePort(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${port}/`, results };
}

test('every kind of request is as docs/schemas and parse say, with no key that they do not name', async () => {
  const { db, chat, hook } = await runningScene();
  const ajv = new Ajv({ allowUnionTypes: true });
  const open = new Map<SchemaName, ValidateFunction>(Array.from(schemas(), ([name, schema]) => [name, ajv.compile(schema)]));
  const closed = new Map<SchemaName, ValidateFunction>(Array.from(schemas(true), ([name, schema]) => [name, ajv.compile(schema)]));
  const [author, other] = chat.userIds;
  await db.query(
    `INSERT INTO slackchat_customcontenttemplate (name, search_string, content_template, argument_template, attachment_template, kwarg_template, chat_type_id)
     VALUES ('t', '^(T.*)$', '<b>{0}</b>', 'one,two', '{"title": "{0}", "n": 1}', '{"k": "{0}"}', $1)`, [chat.chatTypeId],
  );
  const argumentId = await insertArgument(db.pool, { chatTypeId: chat.chatTypeId, name: 'lead', character: 'star' });
  const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: author, text: 'Templated' });
  await insertReaction(db.pool, { messageId, userId: other });
  await insertReaction(db.pool, { messageId, userId: other, argumentId });
  await insertAttachment(db.pool, { messageId, title: 'A', title_link: 'https://x/', image_url: 'https://x/i', image_width: 3, image_height: 0 });
  await insertKwarg(db.pool, { messageId, userId: author, key: 'race', value: 'x' });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: other, text: '' });
  await db.query('SELECT slackchat_bridge.request_update($1::uuid)', [chat.channelId]);
  await db.query('SELECT slackchat_bridge.republish($1::uuid)', [chat.channelId]);
  await hook.waitFor(({ body }) => body.type === 'republish_request');
  await db.query('TRUNCATE slackchat_reaction');
  await db.query('DELETE FROM slackchat_keywordargument');
  await db.query('DELETE FROM slackchat_attachment');
  await db.query('DELETE FROM slackchat_message');
  await db.query(`WITH asked AS (SELECT slackchat_bridge.unpublish($1::uuid)) DELETE FROM slackchat_channel WHERE id = $1 AND EXISTS (SELECT FROM asked)`, [chat.channelId]);
  await hook.waitFor(({ body, rawBody }) => body.update_type === 'message_deleted' || rawBody.includes('unpublish_request'), { count: 3 });

  const kinds = new Set<string>();
  for (const { rawBody } of hook.requests) {
    const payload: Payload = parse(rawBody);
    kinds.add(payload.type === 'update_notification' ? (payload.update_type ?? 'channel') : payload.type);
    const checks: [SchemaName, unknown][] = [['payload', payload], [payload.type, payload]];
    if ('channel_data' in payload && payload.channel_data !== null) checks.push(['channel_data', JSON.parse(payload.channel_data)]);
    for (const [name, value] of checks) {
      for (const validators of [open, closed]) {
        const validate = validators.get(name);
        validate?.(value);
        expect(validate?.errors ?? null, `${name}: ${rawBody}`).toBeNull();
      }
    }
  }
  expect([...kinds].toSorted()).toEqual(['channel', 'message_changed', 'message_created', 'message_deleted', 'republish_request', 'unpublish_request', 'url_verification']);
});

test('behind the kit each notification is worked on once and in order, though the bridge repeats it and the work fails now and then', async () => {
  const scene = await createScene();
  const { db, chat, start, register } = scene;
  const worked: string[] = [];
  let calls = 0;
  const receiver = await kit({
    token: 'test-token', secret: SECRET,
    onMessage({ message }) {
      calls += 1;
      if (calls % 3 === 0) throw new Error('now and then');
      worked.push(message.content ?? '');
    },
  });
  let bridge = await start();
  await register(receiver.url, { secret: SECRET });
  const id = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: '00' });
  for (const round of [1, 2, 3, 4, 5, 6]) {
    await db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [id, String(round).padStart(2, '0')]);
    if (round % 2 !== 0) continue;
    // Whatever was confirmed by then: the rest comes again.
    await bridge.stop('SIGKILL');
    bridge = await start();
  }
  await waitConfirmed(db);
  await eventually(async () => expect(await db.query('SELECT FROM slackchat_bridge.deliveries')).toEqual([]), { timeoutMs: 20_000 });
  // A changed message is told as it is when it is told.
  expect([worked.toSorted(), worked.at(-1)]).toEqual([worked, '06']);
  const dealtWith = receiver.results.filter(({ payload, status, repeat }) => payload?.type === 'update_notification' && status === 200 && !repeat);
  expect(new Set(dealtWith.map((result) => result.id)).size).toBe(7);
  expect(worked).toHaveLength(7);
  expect(receiver.results.filter(({ status }) => ![200, 500].includes(status))).toEqual([]);
});
