import { expect, test } from 'vitest';
import { insertKwarg, insertMessage } from '../support/chat.js';
import { runningScene, waitConfirmed, type Scene } from '../support/scene.js';

async function insertTemplate({ db, chat }: Scene, columns: Readonly<Record<string, unknown>>): Promise<void> {
  const all: Record<string, unknown> = { name: 't', search_string: '', content_template: null, chat_type_id: chat.chatTypeId, argument_template: null, attachment_template: null, kwarg_template: null, ...columns };
  const names = Object.keys(all);
  await db.query(`INSERT INTO slackchat_customcontenttemplate (${names.join(', ')}) VALUES (${names.map((_name, index) => `$${index + 1}`).join(', ')})`, Object.values(all));
}

const TEMPLATE = {
  search_string: '^RACE (?P<state>\\w+) (\\d+)$',
  content_template: 'Race called in {0}',
  argument_template: 'race,{0}',
  attachment_template: '{"title": "Race {0}", "votes": 12345678901234567890}',
  kwarg_template: '{"state": "{0}", "share": 1.10}',
};

test('a chat type\'s templates make content, arguments, attachment and kwargs of a text, also of a deleted message', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  await insertTemplate(scene, TEMPLATE);
  const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'RACE Ohio 7' });
  await hook.waitForNotifications(1);
  await insertKwarg(db.pool, { messageId, userId: chat.userIds[0], key: 'share', value: 'thread' });
  await hook.waitForNotifications(2);
  await db.query('DELETE FROM slackchat_keywordargument');
  await hook.waitForNotifications(3);
  await db.query('DELETE FROM slackchat_message');
  await hook.waitForNotifications(4);
  const rendered = (share: string): string =>
    `"content":"Race called in Ohio","attachments":[{"title":"Race Ohio","votes":12345678901234567890}],"args":["race","Ohio"],"kwargs":{"share":${share},"state":"Ohio"}}}`;
  expect(hook.notifications.map(({ rawBody }) => rawBody.slice(rawBody.indexOf('"content"')))).toEqual([rendered('1.10'), rendered('"thread"'), rendered('1.10'), rendered('1.10')]);
});

test('render_to_html gives HTML, and changes of chat types and templates are followed while it runs', async () => {
  const scene = await runningScene();
  const { db, chat, hook } = scene;
  const say = async (): Promise<unknown> => {
    await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'so *very* true' });
    await waitConfirmed(db);
    return hook.notifications.at(-1)?.body.message?.content;
  };
  expect(await say()).toBe('so *very* true');
  await db.query('UPDATE slackchat_chattype SET render_to_html = true');
  expect(await say()).toBe('<p>so <em>very</em> true</p>');
  await insertTemplate(scene, { search_string: 'true', content_template: 'indeed' });
  expect(await say()).toBe('<p>indeed</p>');
  await db.query("UPDATE slackchat_customcontenttemplate SET content_template = '**indeed**'");
  expect(await say()).toBe('<p><strong>indeed</strong></p>');
  await db.query('TRUNCATE slackchat_customcontenttemplate');
  await db.query('UPDATE slackchat_chattype SET render_to_html = false');
  expect(await say()).toBe('so *very* true');
});

test('a template in error leaves the text as it is, and is said once', async () => {
  const scene = await runningScene();
  const { db, chat, hook, bridge } = scene;
  await insertTemplate(scene, { search_string: '(', content_template: 'never' });
  for (const text of ['a', 'b']) await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
  await hook.waitForNotifications(2);
  expect(hook.notifications.map(({ body }) => body.message?.content).toSorted()).toEqual(['a', 'b']);
  expect(bridge.logs.filter(({ kind }) => kind === 'template_error')).toHaveLength(1);
});
