import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { insertChannel, insertMessage } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { closedGate } from '../support/gate.js';
import { startReceiver, type ReceivedRequest, type Receiver } from '../support/receiver.js';
import { createScene, runningScene, told, waitConfirmed, type Scene } from '../support/scene.js';

const say = async ({ db, chat }: Scene, text: string): Promise<number> => insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
const edit = async ({ db }: Scene, id: number, text: string): Promise<unknown> => db.query('UPDATE slackchat_message SET text = $2 WHERE id = $1', [id, text]);
const remove = async ({ db }: Scene, id: number): Promise<unknown> => db.query('DELETE FROM slackchat_message WHERE id = $1', [id]);
const rows = async ({ db }: Scene): Promise<readonly Record<string, unknown>[]> =>
  db.query("SELECT body::json ->> 'update_type' AS kind, body::json -> 'message' ->> 'content' AS content, attempted FROM slackchat_bridge.deliveries ORDER BY commit_lsn, seq");

test.each(['message', 'channel'])('what waits for an endpoint that is away collapses into its net effect, in the rows too (ordering %s)', { timeout: 60_000 }, async (ordering) => {
  const scene = await createScene({ env: { RETRY_BASE_MS: '60000' } });
  const { db, hook, start, register } = scene;
  const bridge = await start();
  const webhookId = await register(hook.url, { conflate: true, ordering });
  const changed = await say(scene, 'known');
  const deleted = await say(scene, 'known and deleted');
  await hook.waitForNotifications(2);
  await waitConfirmed(db);
  hook.clear();
  await hook.stopListening();

  // Their first attempts fail: nobody knows whether they were received. After five lanes nothing more is tried for now.
  const attempted: number[] = [];
  for (const index of [0, 1, 2, 3, 4]) {
    attempted.push(await say(scene, 'attempted'));
    await eventually(async () => expect(await rows(scene)).toHaveLength(index + 1));
  }
  await eventually(async () => expect(await rows(scene)).toMatchObject([{ attempted: true }, ...attempted.slice(1).map(() => ({ attempted: ordering === 'message' }))]));
  for (const id of attempted) await remove(scene, id);
  const created = await say(scene, 'created');
  for (const text of ['once more', 'created, newest']) await edit(scene, created, text);
  const gone = await say(scene, 'never told');
  await edit(scene, gone, 'never told either');
  await remove(scene, gone);
  for (const text of ['changed', 'changed, newest']) await edit(scene, changed, text);
  await edit(scene, deleted, 'not told');
  await remove(scene, deleted);
  await waitConfirmed(db);
  const contents = (await rows(scene)).filter((row) => row['content'] !== 'attempted');
  expect(contents.map(({ kind, content }) => `${String(kind)} ${String(content)}`)).toEqual([
    'message_created created, newest', 'message_changed changed, newest', 'message_deleted not told',
  ]);
  const times = <T>(count: number, what: T): T[] => Array.from({ length: count }, () => what);
  const tried = ordering === 'message' ? 5 : 1;
  expect((await rows(scene)).filter((row) => row['content'] === 'attempted').map(({ kind }) => kind)).toEqual([...times(tried, 'message_created'), ...times(tried, 'message_deleted')]);

  await bridge.stop('SIGKILL');
  await hook.listenAgain();
  await start({ RETRY_BASE_MS: '50' });
  await db.query('SELECT slackchat_bridge.retry_all($1)', [webhookId]);
  await eventually(async () => expect(await rows(scene)).toEqual([]), { timeoutMs: 20_000 });
  expect([...told(hook.notifications)].sort()).toEqual([
    'message_changed changed, newest', ...times(tried, 'message_created attempted'), 'message_created created, newest', ...times(tried, 'message_deleted attempted'), 'message_deleted not told',
  ]);
  // Direct again.
  await say(scene, 'afterwards');
  await hook.waitFor(({ body }) => body.message?.content === 'afterwards');
});

test('what waits in memory behind one that is under way collapses, and nothing is written for it', { timeout: 60_000 }, async () => {
  const scene = await createScene();
  const { db, hook, start, register } = scene;
  const bridge = await start();
  await register(hook.url, { conflate: true, max_in_flight: 1 });
  const gate = closedGate();
  hook.respond = ({ body }) => (body.message?.content === 'first' ? { status: 200, delayUntil: gate.opened } : { status: 200 });
  const first = await say(scene, 'first');
  await hook.waitForNotifications(1);
  await edit(scene, first, 'second');
  await edit(scene, first, 'third');
  const other = await say(scene, 'other');
  await edit(scene, other, 'other, newest');
  const gone = await say(scene, 'gone');
  await remove(scene, gone);
  const last = await startReceiver();
  onTestFinished(async () => last.close());
  // An endpoint that is not conflated has it all by then, so the bridge has read it.
  await register(last.url);
  await say(scene, 'end');
  await last.waitFor(({ body }) => body.message?.content === 'end');
  gate.open();
  await hook.waitFor(({ body }) => body.message?.content === 'end');
  await waitConfirmed(db);
  expect([...told(hook.notifications)].sort()).toEqual(['message_changed third', 'message_created end', 'message_created first', 'message_created other, newest']);
  // One change went into the next, one into a creation, and a creation and a deletion came to nothing.
  const metrics = await (await fetch(`${await bridge.adminUrl()}/metrics`)).text();
  expect(/^slackchat_bridge_deliveries_conflated_total (\d+)$/mu.exec(metrics)?.[1]).toBe('4');
  const [{ used } = {}] = await db.query<{ used: boolean }>('SELECT is_called AS used FROM slackchat_bridge.deliveries_id_seq');
  expect(used).toBe(false);
});

/** What a receiver shows that drops repeats: contents by the messages' timestamps and channels. */
function shown(requests: readonly ReceivedRequest[]): Record<string, string> {
  const seen = new Set<unknown>();
  const messages = new Map<string, string>();
  for (const { headers, body: { message, update_type: kind, channel } } of requests) {
    if (message === undefined || seen.has(headers['webhook-id'])) continue;
    seen.add(headers['webhook-id']);
    const key = `${message.timestamp ?? ''} in ${channel ?? ''}`;
    if (kind === 'message_deleted') messages.delete(key);
    else messages.set(key, message.content ?? '');
  }
  return Object.fromEntries([...messages].sort());
}

test('the net effect received is the net effect committed, whatever fails and crashes', { timeout: 120_000 }, async () => {
  const scene = await createScene({ env: { RETRY_BASE_MS: '20', RETRY_MAX_MS: '60', REQUEST_TIMEOUT_MS: '400' } });
  const { db, chat, start, register } = scene;
  let bridge = await start();
  let bad = true;
  let count = 0;
  const hooks: Receiver[] = [];
  for (const columns of [{ ordering: 'message', conflate: true }, { ordering: 'channel', conflate: true }, { ordering: 'message', conflate: false }]) {
    const hook = await startReceiver();
    onTestFinished(async () => hook.close());
    hooks.push(hook);
    await register(hook.url, columns);
    // In bursts it fails: received, refused, or without an answer.
    hook.respond = () => {
      count += 1;
      if (!bad || count % 40 > 25) return { status: 200 };
      return count % 3 === 0 ? { status: 200, destroy: true } : { status: 503 };
    };
  }
  const channels = [chat.channelId, await insertChannel(db.pool, { chatTypeId: chat.chatTypeId, ownerId: chat.userIds[0] })];
  const deed = fc.record({ what: fc.constantFrom('say', 'edit', 'edit', 'edit', 'delete', 'move'), message: fc.nat({ max: 5 }), channel: fc.nat({ max: 1 }) });
  const ids: (number | undefined)[] = [];
  for (const [index, { what, message, channel }] of fc.sample(deed, 150).entries()) {
    const id = ids[message];
    const text = `text ${index}`;
    if (id === undefined) ids[message] = await insertMessage(db.pool, { channelId: channels[channel] ?? '', userId: chat.userIds[0], text });
    else if (what === 'delete') {
      await remove(scene, id);
      ids[message] = undefined;
    } else if (what === 'move') await db.query('UPDATE slackchat_message SET channel_id = $2 WHERE id = $1', [id, channels[channel]]);
    else await edit(scene, id, text);
    if (index % 50 === 49) {
      await bridge.stop('SIGKILL');
      bridge = await start();
    }
  }
  bad = false;
  await waitConfirmed(db);
  await eventually(async () => expect(await rows(scene)).toEqual([]), { timeoutMs: 60_000 });
  const expected = await db.query<{ timestamp: string; channel_id: string; text: string }>(
    `SELECT to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS timestamp, channel_id::text, text FROM slackchat_message`,
  );
  for (const hook of hooks) expect(shown(hook.notifications)).toEqual(Object.fromEntries(expected.map((row) => [`${row.timestamp} in ${row.channel_id}`, row.text]).sort()));
});

test('an endpoint can be switched: what was stored before collapses with nothing, what comes after does', { timeout: 60_000 }, async () => {
  const scene = await runningScene({ env: { RETRY_BASE_MS: '100', RETRY_MAX_MS: '200' } });
  const { db, hook, webhookId } = scene;
  const known = await say(scene, 'known');
  await hook.waitForNotifications(1);
  await waitConfirmed(db);
  await hook.stopListening();
  await edit(scene, known, 'tried');
  await eventually(async () => expect(await rows(scene)).toMatchObject([{ content: 'tried' }]));
  await edit(scene, known, 'before');
  await eventually(async () => expect(await rows(scene)).toHaveLength(2));
  await db.query('UPDATE slackchat_bridge.webhooks SET conflate = true WHERE id = $1', [webhookId]);
  for (const text of ['after', 'after, newest']) await edit(scene, known, text);
  await waitConfirmed(db);
  expect((await rows(scene)).map(({ content }) => content)).toEqual(['tried', 'before', 'after, newest']);
  hook.clear();
  await hook.listenAgain();
  await hook.waitForNotifications(3);
  await eventually(async () => expect(await rows(scene)).toEqual([]));
});
