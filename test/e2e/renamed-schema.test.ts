import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { runCommand } from '../support/process.js';
import { createScene, told, waitConfirmed } from '../support/scene.js';

/** Every part that the application has, each under other names and with a key of another type; a kwarg's key and value have changed their names with one another. */
const FORUM = `
  CREATE SCHEMA forum;
  CREATE TABLE forum.kinds (kind text PRIMARY KEY, label text NOT NULL, html boolean, path text);
  CREATE TABLE forum.people (uid uuid PRIMARY KEY, handle text NOT NULL);
  CREATE TABLE forum.threads (no integer PRIMARY KEY, kind text REFERENCES forum.kinds, subject text, is_live boolean NOT NULL DEFAULT true, shown boolean NOT NULL DEFAULT false);
  CREATE TABLE forum.marks (mark smallint PRIMARY KEY, meaning varchar(40));
  CREATE TABLE forum.posts (slug varchar(40) PRIMARY KEY, at timestamptz NOT NULL, words text, thread bigint REFERENCES forum.threads ON DELETE CASCADE, by uuid REFERENCES forum.people);
  CREATE TABLE forum.faces (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz NOT NULL, face text, mark integer, post text REFERENCES forum.posts ON DELETE CASCADE, by uuid);
  CREATE TABLE forum.links (href text PRIMARY KEY, name text, width integer, post varchar(40) REFERENCES forum.posts ON DELETE CASCADE);
  CREATE TABLE forum.notes (id bigint PRIMARY KEY, value text, key text, post varchar REFERENCES forum.posts ON DELETE CASCADE);
  CREATE TABLE forum.rules (id smallint PRIMARY KEY, kind text, pattern text, becomes text);
  CREATE TABLE forum.hooks (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address text UNIQUE, ok boolean NOT NULL DEFAULT false);
  INSERT INTO forum.kinds VALUES ('q', 'questions', false, '/q/');
  INSERT INTO forum.people VALUES ('00000000-0000-4000-8000-00000000000a', 'ann');
  INSERT INTO forum.threads VALUES (7, 'q', 'Why?');
  INSERT INTO forum.marks VALUES (3, 'question');
  INSERT INTO forum.rules VALUES (1, 'q', '^Q: (.*)$', 'Question: {0}');`;

const FORUM_MAPPING = {
  tables: {
    chatType: { schema: 'forum', table: 'kinds', columns: { id: 'kind', name: 'label', render_to_html: 'html', publish_path: 'path' } },
    user: { schema: 'forum', table: 'people', columns: { id: 'uid', api_id: 'handle' } },
    channel: { schema: 'forum', table: 'threads', columns: { id: 'no', chat_type_id: 'kind', title: 'subject', live: 'is_live', published: 'shown' } },
    argument: { schema: 'forum', table: 'marks', columns: { id: 'mark', name: 'meaning' } },
    message: { schema: 'forum', table: 'posts', columns: { id: 'slug', timestamp: 'at', text: 'words', channel_id: 'thread', user_id: 'by' } },
    reaction: { schema: 'forum', table: 'faces', columns: { timestamp: 'at', reaction: 'face', argument_id: 'mark', message_id: 'post', user_id: 'by' } },
    attachment: { schema: 'forum', table: 'links', columns: { id: 'href', title: 'name', image_width: 'width', message_id: 'post' } },
    kwarg: { schema: 'forum', table: 'notes', columns: { key: 'value', value: 'key', message_id: 'post' } },
    template: { schema: 'forum', table: 'rules', columns: { chat_type_id: 'kind', search_string: 'pattern', content_template: 'becomes' } },
    appWebhook: { schema: 'forum', table: 'hooks', columns: { id: 'no', endpoint: 'address', verified: 'ok' } },
  },
};

test('every part of a chat under other names and with other keys: told, rendered, mirrored, republished', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'slackchat-mapping-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const MAPPING_FILE = join(folder, 'forum.json');
  writeFileSync(MAPPING_FILE, JSON.stringify(FORUM_MAPPING));
  const { db, hook, start } = await createScene({ env: { MAPPING_FILE, SOURCE_SCHEMA: 'nowhere', APP_WEBHOOKS: 'mirror', CHANNEL_REQUESTS: 'auto' } });
  await db.query(FORUM);
  await start();
  await db.query('INSERT INTO forum.hooks (address) VALUES ($1)', [hook.url]);
  await eventually(async () => expect(await db.query('SELECT ok FROM forum.hooks')).toEqual([{ ok: true }]));

  const ann = '00000000-0000-4000-8000-00000000000a';
  await db.query(`BEGIN;
    INSERT INTO forum.posts VALUES ('first', '2024-01-01T00:00:00Z', 'Q: why?', 7, '${ann}');
    INSERT INTO forum.faces (at, face, mark, post, by) VALUES ('2024-01-01T00:00:01Z', 'eyes', NULL, 'first', '${ann}'), ('2024-01-01T00:00:02Z', 'ask', 3, 'first', '${ann}');
    INSERT INTO forum.links VALUES ('https://a.example/', 'A', 40, 'first');
    INSERT INTO forum.notes VALUES (1, 'tone', 'dry', 'first'); COMMIT`);
  await hook.waitForNotifications(1);
  const message = {
    timestamp: '2024-01-01T00:00:00Z',
    user: 'ann',
    content: 'Question: why?',
    reactions: [{ timestamp: '2024-01-01T00:00:01Z', reaction: 'eyes', user: 'ann' }],
    attachments: [{ title: 'A', image_width: 40 }],
    args: ['question'],
    kwargs: { tone: 'dry' },
  };
  expect(hook.notifications[0]?.body).toMatchObject({ channel: '7', chat_type: 'questions', update_type: 'message_created' });
  expect(hook.notifications[0]?.body.message).toEqual(message);

  await db.query(`UPDATE forum.notes SET key = 'warm'`);
  const [, changed] = await hook.waitForNotifications(2);
  expect(changed?.body.message).toEqual({ ...message, kwargs: { tone: 'warm' } });
  await db.query('UPDATE forum.threads SET shown = true WHERE no = 7');
  const [published] = await hook.waitFor(({ body }) => body.type === 'republish_request');
  expect(published?.body).toMatchObject({ channel: '7', chat_type: 'questions' });
  expect(JSON.parse(published?.body.channel_data ?? '')).toMatchObject({
    id: '7', chat_type: 'questions', title: 'Why?', live: true, paths: { channel: null, chat_type: '/q/' }, users: { ann: { first_name: null } }, messages: [{ ...message, kwargs: { tone: 'warm' } }],
  });
  await db.query("SELECT slackchat_bridge.replay('2024-01-01T00:00:02Z', ARRAY['7'])");
  const [again] = await hook.waitFor(({ headers }) => headers['slackchat-replay'] === 'true');
  expect(again?.body).toMatchObject({ channel: '7', update_type: 'message_changed', message: { ...message, kwargs: { tone: 'warm' } } });
  await db.query('DELETE FROM forum.threads');
  await waitConfirmed(db);
  expect(hook.notifications.at(-1)?.body).toMatchObject({ update_type: 'message_deleted', chat_type: 'questions', message: { content: 'Question: why?' } });
});

test("the application's tables in another schema and under another prefix", async () => {
  const env = { SOURCE_SCHEMA: 'News "Room"', TABLE_PREFIX: 'Chat-', APP_WEBHOOKS: 'mirror' };
  const scene = await createScene({ env });
  const { db, chat, hook } = scene;
  const refused = await runCommand({ ...scene.env, TABLE_PREFIX: 'slackchat_' }, ['setup']);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('table "News ""Room"""."slackchat_message" does not exist');
  const message = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'old' });
  await insertReaction(db.pool, { messageId: message, userId: chat.userIds[1] });
  await db.query(`CREATE SCHEMA "News ""Room"""`);
  await db.query(`DO $$ DECLARE t name; BEGIN
    FOR t IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'slackchat\\_%' AND relnamespace = 'public'::regnamespace LOOP
      EXECUTE format('ALTER TABLE %I RENAME TO %I', t, 'Chat-' || substr(t, 11));
      EXECUTE format('ALTER TABLE %I SET SCHEMA %I', 'Chat-' || substr(t, 11), 'News "Room"');
    END LOOP;
  END $$`);
  const table = (name: string): string => `"News ""Room"""."Chat-${name}"`;
  await scene.start();
  await db.query(`INSERT INTO ${table('webhook')} (endpoint, verified) VALUES ($1, false)`, [hook.url]);
  await eventually(async () => expect(await db.query(`SELECT verified FROM ${table('webhook')}`)).toEqual([{ verified: true }]));
  await db.query(`UPDATE ${table('message')} SET text = 'new'`);
  await hook.waitForNotifications(1);
  expect(hook.notifications[0]?.body).toMatchObject({ channel: chat.channelId, chat_type: 'default', message: { user: 'U1', content: 'new', reactions: [{ user: 'U2' }] } });
  await db.query('SELECT slackchat_bridge.unpublish($1::uuid)', [chat.channelId]);
  await hook.waitFor(({ body }) => body.type === 'unpublish_request');
  await db.query(`BEGIN; DELETE FROM ${table('reaction')}; DELETE FROM ${table('message')}; COMMIT`);
  await waitConfirmed(db);
  expect(told(hook.notifications)).toEqual(['message_changed new', 'unpublish_request', 'message_deleted new']);
});
