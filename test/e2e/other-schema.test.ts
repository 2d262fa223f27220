import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { closedGate } from '../support/gate.js';
import { startBridge } from '../support/process.js';
import type { ReceivedRequest } from '../support/receiver.js';
import { createScene, told, waitConfirmed, type Scene } from '../support/scene.js';

/** Text keys of rooms, uuids of posts, numbers of people and of what they react with; no attachments, no chat types of its own. */
const ROOMS = `
  CREATE SCHEMA "Chat Data";
  CREATE SCHEMA "who.is";
  CREATE TYPE face AS ENUM ('fire', 'tada', 'thumbs up');
  CREATE TABLE "Chat Data"."Rooms" ("room ""key""" text PRIMARY KEY, kind varchar(20), "Heading" text);
  CREATE TABLE "who.is"."people" (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, handle text NOT NULL, given text);
  CREATE TABLE "Chat Data".posts (
    post uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    written timestamp NOT NULL,
    "the 'body'" text,
    room text NOT NULL REFERENCES "Chat Data"."Rooms" ON UPDATE CASCADE ON DELETE CASCADE,
    author integer,
    nick text,
    text bytea
  );
  CREATE TABLE "Chat Data".emoji (
    "No" text PRIMARY KEY,
    post uuid NOT NULL REFERENCES "Chat Data".posts ON DELETE CASCADE,
    who bigint,
    face face NOT NULL
  );
  INSERT INTO "Chat Data"."Rooms" VALUES ('Café & Bar', 'loud', 'The bar'), ('9', NULL, NULL);
  INSERT INTO "who.is"."people" (handle, given) VALUES ('ann', 'Ann'), ('bob', 'Bob');`;

const ROOMS_MAPPING = {
  tables: {
    channel: { schema: 'Chat Data', table: 'Rooms', columns: { id: 'room "key"', chat_type_id: 'kind', title: 'Heading' } },
    message: { schema: 'Chat Data', table: 'posts', columns: { id: 'post', timestamp: 'written', text: "the 'body'", channel_id: 'room', user_id: 'author' } },
    user: { schema: 'who.is', table: 'people', columns: { id: 'no', api_id: 'handle', first_name: 'given' } },
    reaction: { schema: 'Chat Data', table: 'emoji', columns: { id: 'No', message_id: 'post', user_id: 'who', reaction: 'face', timestamp: null, argument_id: null } },
    attachment: null,
    kwarg: null,
    chatType: null,
  },
  chatTypeName: 'quiet',
};

/** Nothing but what a chat must have; what refers to something is its name. */
const BARE = `
  CREATE SCHEMA talk;
  CREATE TABLE talk.room (id bigint PRIMARY KEY);
  CREATE TABLE talk.line (id smallint PRIMARY KEY, at timestamptz, said text, room integer, who text);
  INSERT INTO talk.room VALUES (-5), (12);`;

const BARE_MAPPING = {
  tables: {
    channel: { schema: 'talk', table: 'room', columns: { chat_type_id: null } },
    message: { schema: 'talk', table: 'line', columns: { timestamp: 'at', text: 'said', channel_id: 'room', user_id: 'who' } },
    user: null,
    reaction: null,
    attachment: null,
    kwarg: null,
  },
  chatTypeName: 'talk',
};

function mappingFile(mapping: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'slackchat-mapping-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'chat.json');
  writeFileSync(path, JSON.stringify(mapping));
  return path;
}

async function otherScene(sql: string, mapping: unknown, env: Readonly<Record<string, string>> = {}): Promise<Scene> {
  // Nothing is found under the application's own names.
  const scene = await createScene({ env: { MAPPING_FILE: mappingFile(mapping), SOURCE_SCHEMA: 'nowhere', ...env } });
  await scene.db.query(sql);
  return scene;
}

async function running(sql: string, mapping: unknown, env: Readonly<Record<string, string>> = {}): Promise<Scene & { readonly webhookId: string }> {
  const scene = await otherScene(sql, mapping, env);
  await scene.start();
  return { ...scene, webhookId: await scene.register(scene.hook.url) };
}

const json = (request: ReceivedRequest | undefined): unknown => JSON.parse(request?.rawBody ?? 'null');

async function allTold({ db, hook }: Scene): Promise<unknown[]> {
  await waitConfirmed(db);
  const seen = new Set<string>();
  return hook.notifications.flatMap((request) => {
    const id = String(request.headers['webhook-id']);
    if (seen.has(id)) return [];
    seen.add(id);
    const { channel, chat_type: chatType, update_type: type, message } = request.body;
    return [[type, channel, chatType, message]];
  });
}

const POST = 'b8a9f1de-0000-4000-8000-000000000001';
const post = (body: string, room = 'Café & Bar'): string =>
  `INSERT INTO "Chat Data".posts VALUES ('${POST}', '2024-02-29 12:00:00.5', '${body}', '${room}', 1)`;

test('posts and what people react with are told as messages are: created, changed, moved, deleted', async () => {
  // Of times without a zone nobody knows in which they were meant: they stay what they are.
  const scene = await running(ROOMS, ROOMS_MAPPING, { TIME_ZONE: 'America/New_York' });
  const { db, hook } = scene;
  await db.query(`BEGIN; ${post('one')};
    INSERT INTO "Chat Data".emoji VALUES ('10', '${POST}', 2, 'thumbs up'), ('9', '${POST}', NULL, 'fire'), ('a', '${POST}', 77, 'tada'); COMMIT`);
  await hook.waitForNotifications(1);
  expect(json(hook.notifications[0])).toEqual({
    token: 'test-token',
    type: 'update_notification',
    channel: 'Café & Bar',
    chat_type: 'loud',
    update_type: 'message_created',
    message: {
      timestamp: '2024-02-29T12:00:00.500000Z',
      user: 'ann',
      content: 'one',
      reactions: [{ reaction: 'fire', user: null }, { reaction: 'thumbs up', user: 'bob' }, { reaction: 'tada', user: null }],
    },
  });
  const message = { timestamp: '2024-02-29T12:00:00.500000Z', user: 'ann', content: 'one' };
  const reactions = [{ reaction: 'fire', user: null }, { reaction: 'thumbs up', user: 'bob' }];
  // A payload may be newer than its commit, so each is awaited.
  await db.query(`DELETE FROM "Chat Data".emoji WHERE "No" = 'a'`);
  await hook.waitForNotifications(2);
  await db.query(`UPDATE "Chat Data".posts SET room = '9', author = NULL, "the 'body'" = NULL`);
  await hook.waitForNotifications(4);
  await db.query(`UPDATE "who.is".people SET handle = 'anna' WHERE handle = 'ann'`);
  await db.query(`UPDATE "Chat Data".posts SET author = 1, "the 'body'" = 'two'`);
  await hook.waitForNotifications(5);
  await db.query(`DELETE FROM "Chat Data".posts`);
  expect(await allTold(scene)).toEqual([
    ['message_created', 'Café & Bar', 'loud', { ...message, reactions: [...reactions, { reaction: 'tada', user: null }] }],
    ['message_changed', 'Café & Bar', 'loud', { ...message, reactions }],
    ['message_deleted', 'Café & Bar', 'loud', message],
    ['message_created', '9', 'quiet', { timestamp: message.timestamp, reactions }],
    ['message_changed', '9', 'quiet', { ...message, user: 'anna', content: 'two', reactions }],
    ['message_deleted', '9', 'quiet', { ...message, user: 'anna', content: 'two' }],
  ]);
});

test('a post that goes with its room is told with the kind of the room and the name of its author', async () => {
  const scene = await running(ROOMS, ROOMS_MAPPING);
  await scene.db.query(post('gone'));
  await scene.hook.waitForNotifications(1);
  await scene.db.query(`BEGIN; DELETE FROM "Chat Data"."Rooms"; DELETE FROM "who.is".people; COMMIT`);
  const message = { timestamp: '2024-02-29T12:00:00.500000Z', user: 'ann', content: 'gone' };
  expect(await allTold(scene)).toEqual([
    ['message_created', 'Café & Bar', 'loud', message],
    ['message_deleted', 'Café & Bar', 'loud', message],
  ]);
});

test('requests by SQL, resync, TRUNCATE and restarts do what they do with the application', async () => {
  const scene = await running(ROOMS, ROOMS_MAPPING);
  const { db, hook, webhookId } = scene;
  const rooms = [['9', 'quiet'], ['Café & Bar', 'loud']];
  const channels = (requests: readonly ReceivedRequest[]): unknown[] => requests.map(({ body }) => [body.channel, body.chat_type]).toSorted();
  await db.query(`SELECT slackchat_bridge.request_update('Café & Bar')`);
  expect((await hook.waitForNotifications(1))[0]?.body).toMatchObject({ type: 'update_notification', channel: 'Café & Bar', chat_type: 'loud' });
  await db.query('SELECT slackchat_bridge.request_update(9)');
  expect((await hook.waitForNotifications(2))[1]?.body).toMatchObject({ channel: '9', chat_type: 'quiet' });
  await expect(db.query(`SELECT slackchat_bridge.request_update('nowhere')`)).rejects.toThrow('there is no channel nowhere');
  hook.clear();
  await db.query('SELECT slackchat_bridge.resync($1)', [webhookId]);
  expect(channels(await hook.waitForNotifications(2))).toEqual(rooms);
  expect(new Set(hook.notifications.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
  hook.clear();
  await db.query(`${post('first')}; TRUNCATE "Chat Data".posts CASCADE`);
  expect(channels(await hook.waitForNotifications(2))).toEqual(rooms);
  await waitConfirmed(db);
  expect(hook.notifications).toHaveLength(2);

  hook.clear();
  await db.query(`${post('first')}; INSERT INTO "Chat Data".emoji VALUES ('1', '${POST}', 2, 'fire')`);
  await db.query(`SELECT slackchat_bridge.republish('Café & Bar')`);
  const [republished] = await hook.waitFor(({ body }) => body.type === 'republish_request');
  expect(republished?.body).toMatchObject({ channel: 'Café & Bar', chat_type: 'loud' });
  expect(JSON.parse(republished?.body.channel_data ?? '')).toMatchObject({
    id: 'Café & Bar',
    chat_type: 'loud',
    title: 'The bar',
    introduction: null,
    extras: null,
    live: null,
    users: { ann: { first_name: 'Ann', last_name: null }, bob: { first_name: 'Bob' } },
    messages: [{ timestamp: '2024-02-29T12:00:00.500000Z', user: 'ann', content: 'first', reactions: [{ reaction: 'fire', user: 'bob' }] }],
  });
});

test('after a crash the rest arrives, and after a stop nothing twice', async () => {
  const scene = await otherScene(ROOMS, ROOMS_MAPPING);
  const { db, hook } = scene;
  let bridge = await scene.start();
  await scene.register(hook.url);
  const gate = closedGate();
  hook.respond = () => ({ status: 200, delayUntil: gate.opened });
  await db.query(post('before'));
  await hook.waitForNotifications(1);
  await bridge.stop('SIGKILL');
  gate.open();
  await db.query(`UPDATE "Chat Data".posts SET "the 'body'" = 'after'`);
  hook.clear();
  bridge = await scene.start();
  await hook.waitForNotifications(2);
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_created before', 'message_changed after']);
  await bridge.stop();
  hook.clear();
  await scene.start();
  await db.query(`DELETE FROM "Chat Data".posts`);
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_deleted after']);
}, 60_000);

test('a chat of lines and rooms alone is told too, in no room not at all', async () => {
  const scene = await running(BARE, BARE_MAPPING);
  const { db, hook, webhookId } = scene;
  await db.query(`INSERT INTO talk.line VALUES (1, '2024-01-01T00:00:00Z', 'hello', -5, 'Ann B.'), (2, '2024-01-01T00:00:00.25Z', 'unheard', NULL, 'x'), (3, 'infinity', 'odd', 999, NULL)`);
  await hook.waitForNotifications(2);
  await db.query(`UPDATE talk.line SET room = NULL WHERE id = 1`);
  await hook.waitForNotifications(3);
  await db.query(`UPDATE talk.line SET room = 12 WHERE id = 2`);
  await hook.waitForNotifications(4);
  const ann = { timestamp: '2024-01-01T00:00:00Z', user: 'Ann B.', content: 'hello' };
  expect(await allTold(scene)).toEqual([
    ['message_created', '-5', 'talk', ann],
    ['message_created', '999', null, { timestamp: 'infinity', content: 'odd' }],
    ['message_deleted', '-5', 'talk', ann],
    ['message_created', '12', 'talk', { timestamp: '2024-01-01T00:00:00.250000Z', user: 'x', content: 'unheard' }],
  ]);
  hook.clear();
  await db.query('SELECT slackchat_bridge.request_update(-5), slackchat_bridge.resync($1)', [webhookId]);
  expect((await hook.waitForNotifications(3)).map(({ body }) => body.channel).toSorted()).toEqual(['-5', '-5', '12']);
  await db.query('SELECT slackchat_bridge.republish(12), slackchat_bridge.unpublish(-5)');
  const [whole, empty] = await hook.waitFor(({ body }) => body.channel_data !== undefined, { count: 2 });
  const said = { timestamp: '2024-01-01T00:00:00.250000Z', user: 'x', content: 'unheard' };
  expect(JSON.parse(whole?.body.channel_data ?? '')).toMatchObject({ id: '12', chat_type: 'talk', title: null, users: {}, messages: [said] });
  expect(JSON.parse(empty?.body.channel_data ?? '')).toMatchObject({ id: '-5', chat_type: 'talk', messages: [] });
  // More than a page of rooms, whose numbers have different lengths.
  await db.query('INSERT INTO talk.room SELECT generate_series(1, 1500) ON CONFLICT DO NOTHING');
  hook.clear();
  await db.query('SELECT slackchat_bridge.resync($1)', [webhookId]);
  const announced = await hook.waitForNotifications(1_501, { timeoutMs: 20_000 });
  expect(new Set(announced.map(({ body }) => body.channel)).size).toBe(1_501);
});

test('setup --print names the tables as the file does, a role that owns nothing runs with what --grant gives, and teardown undoes it', async () => {
  const scene = await otherScene(ROOMS, ROOMS_MAPPING);
  const { db, env } = scene;
  const role = `${db.name}_bridge`;
  await db.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'pw'`);
  onTestFinished(async () => void (await db.pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`).catch(() => undefined)));
  const print = startBridge(env, ['setup', '--print', '--grant', role]);
  expect((await print.exited).code).toBe(0);
  for (const part of ['ALTER TABLE "Chat Data"."posts" REPLICA IDENTITY FULL', 'ALTER TABLE "who.is"."people" REPLICA IDENTITY FULL', '"Chat Data"."emoji"', 'c."room ""key""" = wanted', `GRANT USAGE ON SCHEMA "who.is" TO "${role}"`]) {
    expect(print.stdout).toContain(part);
  }
  expect(print.stdout).not.toContain('slackchat_message');
  expect((await startBridge(env, ['setup', '--grant', role]).exited).code).toBe(0);
  const url = new URL(db.url);
  url.username = role;
  url.password = 'pw';
  const bridge = startBridge({ ...env, DATABASE_URL: url.href });
  await bridge.waitReady();
  await scene.register(scene.hook.url);
  await db.query(post('granted'));
  await scene.hook.waitForNotifications(1);
  await bridge.stop();
  expect((await startBridge(env, ['teardown', '--yes']).exited).code).toBe(0);
  expect(await db.query(`SELECT relname FROM pg_class WHERE relreplident = 'f'`)).toEqual([]);
});

test('what does not fit is refused by setup and by run, every fault named, and nothing is made', async () => {
  const { tables } = ROOMS_MAPPING;
  const scene = await otherScene(ROOMS, {
    ...ROOMS_MAPPING,
    tables: {
      ...tables,
      message: { ...tables.message, columns: { ...tables.message.columns, text: 'text', user_id: 'nick' } },
      reaction: { ...tables.reaction, table: 'Emoji' },
      user: { ...tables.user, columns: { ...tables.user.columns, last_name: 'family' } },
    },
  });
  for (const args of [['setup'], ['run'], ['run', '--setup']]) {
    const refused = startBridge(scene.env, args);
    expect((await refused.exited).code).toBe(1);
    for (const fault of [
      /table Chat Data\.Emoji does not exist \(a database without one says "reaction": null in MAPPING_FILE\)/u,
      /column Chat Data\.posts\.text is bytea; accepted: text, /u,
      /column Chat Data\.posts\.nick is text, but the key that it refers to, "who\.is"\."people"\.no, is bigint/u,
      /column "who\.is"\."people"\.family does not exist/u,
    ]) expect(refused.stderr).toMatch(fault);
  }
  expect(await scene.db.query(`SELECT 1 AS there FROM pg_namespace WHERE nspname = 'slackchat_bridge'`)).toEqual([]);
});

test('a file at fault ends every command with status 2; hexadecimal ids of channels that have no uuids are refused', async () => {
  const scene = await otherScene(ROOMS, { tables: { messages: {} } });
  for (const args of [['setup', '--print'], ['run'], ['teardown', '--yes']]) {
    const refused = startBridge(scene.env, args);
    expect((await refused.exited).code).toBe(2);
    expect(refused.stderr).toMatch(/MAPPING_FILE \(.*chat\.json\): tables\.messages: unknown; accepted: message, reaction/u);
  }
  const hex = startBridge({ ...scene.env, MAPPING_FILE: mappingFile(ROOMS_MAPPING), CHANNEL_ID_FORMAT: 'hex' }, ['run', '--setup']);
  expect((await hex.exited).code).toBe(1);
  expect(hex.stderr).toContain('CHANNEL_ID_FORMAT is hex, but the keys of Chat Data.Rooms are no uuids (text)');
});

test('the example of docs/other-schemas.md does what is said there', async () => {
  const text = await readFile(join(import.meta.dirname, '../../docs/other-schemas.md'), 'utf8');
  const blocks = (language: string): string[] => [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gmu'))].map(([, block = '']) => block);
  const [sql = ''] = blocks('sql');
  const [mapping = '', example = ''] = blocks('json');
  const { db, hook } = await running(sql, JSON.parse(mapping));
  await db.query(`INSERT INTO "Chat".rooms VALUES ('town-hall', 'loud', 'The town hall'); INSERT INTO "Chat".people VALUES (1, 'ann'), (2, 'bob')`);
  await db.query(`WITH post AS (INSERT INTO "Chat".posts ("writtenAt", body, room, author) VALUES ('2024-02-29T12:00:00.5Z', 'Good evening.', 'town-hall', 1) RETURNING id)
    INSERT INTO "Chat".emoji (post, who, face) SELECT id, 2, 'fire' FROM post`);
  await hook.waitForNotifications(1);
  expect(json(hook.notifications[0])).toEqual({ ...(JSON.parse(example) as object), token: 'test-token' });
  await db.query(`SELECT slackchat_bridge.request_update('town-hall')`);
  expect((await hook.waitForNotifications(2))[1]?.body).toMatchObject({ channel: 'town-hall', chat_type: 'loud' });
});
