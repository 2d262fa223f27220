import { expect, test } from 'vitest';
import { renderMarkdown } from '../../src/shape/render/markdown.js';
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

test('a long text is rendered beside the process\'s other work, and told in its order', async () => {
  const scene = await runningScene();
  const { db, chat, hook, bridge } = scene;
  await db.query('UPDATE slackchat_chattype SET render_to_html = true');
  await db.query("UPDATE slackchat_channel SET introduction = $1", [`*hello* ${'_a '.repeat(3_000)}`]);
  await db.query("UPDATE slackchat_bridge.webhooks SET ordering = 'channel'");
  await waitConfirmed(db);
  const text = '*a _b* `c` [d](e)\n\n> f\n\n'.repeat(2_000);
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: '*short*' });
  await hook.waitForNotifications(2, { timeoutMs: 25_000 });
  expect(hook.notifications.map(({ body }) => body.message?.content)).toEqual([renderMarkdown(text), '<p><em>short</em></p>']);
  await db.query('SELECT slackchat_bridge.republish($1)', [chat.channelId]);
  await hook.waitForNotifications(3, { timeoutMs: 25_000 });
  expect(hook.notifications[2]?.rawBody).toContain('<p><em>hello</em> _a _a');
  expect(bridge.logs.filter(({ kind }) => kind === 'not_rendered')).toEqual([]);
});
