import { afterAll, expect, onTestFinished, test } from 'vitest';
import { insertMessage, insertReaction } from '../support/chat.js';
import { eventually } from '../support/eventually.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { createScene, runningScene } from '../support/scene.js';
import { closeBrowser, expectAccessible, expectNoSidewaysScroll, look, PHONE, shot } from './look.js';

afterAll(closeBrowser);

async function receiver(...options: Parameters<typeof startReceiver>): Promise<Receiver> {
  const started = await startReceiver(...options);
  onTestFinished(async () => started.close());
  return started;
}

test('it loads, shows that the bridge streams, and shows a delivery with its payload by itself', async () => {
  const { db, chat, hook, bridge } = await runningScene();
  const url = await bridge.adminUrl();
  const { page, complaints, origins } = await look(url);
  await page.locator('#state', { hasText: 'streaming' }).waitFor();
  await page.locator('#connection.live').waitFor();
  await page.locator('.endpoint .badge.well', { hasText: 'verified' }).waitFor();
  expect(await page.title()).toBe('streaming · slackchat-bridge');
  expect(await page.locator('#no-attempts').isVisible()).toBe(true);
  expect(await page.locator('#no-dead').isVisible()).toBe(true);

  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'Polls close <b>soon</b>' });
  const line = page.locator('#attempt-list li').first();
  await line.locator('.kind', { hasText: 'message created' }).waitFor();
  expect(await line.locator('.content').textContent()).toBe('Polls close <b>soon</b>');
  expect(await line.locator('.to').textContent()).toBe(hook.url.replace('http://', ''));
  await line.locator('summary').click();
  const payload = await line.locator('pre').textContent();
  expect(payload).toContain('"token": "(hidden)"');
  expect(payload).toContain('"content": "Polls close <b>soon</b>"');
  expect(payload).toContain(chat.channelId);

  // While it is open the list stands still; the button says how many are new.
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'another' });
  await page.locator('#pause', { hasText: 'Paused, 1 new' }).waitFor();
  expect(await page.locator('#attempt-list li').count()).toBe(1);
  await line.locator('summary').click();
  await page.locator('#attempt-list li .content', { hasText: 'another' }).waitFor();

  await page.locator('.endpoint dd', { hasText: /ago|now/u }).first().waitFor();
  // The chart has the span once it is over, and says what was at the pointer.
  await page.locator('#rate-chart svg[aria-label^="Over 15 minutes"]').hover({ position: { x: 5, y: 20 } });
  await page.locator('#rate-chart .when', { hasText: /^\d\d:\d\d:\d\d$/u }).waitFor();
  expect(await page.content()).not.toContain('test-token');
  expect([...origins]).toEqual([url]);
  expect(complaints).toEqual([]);
});

test('a dead letter is shown with why, and sent again by a click', async () => {
  const { db, chat, hook, bridge, webhookId } = await runningScene({ env: { RETRY_BASE_MS: '10', RETRY_MAX_MS: '20', RETRY_MAX_AGE_MS: '500' } });
  hook.respond = () => ({ status: 422 });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'refused for good' });
  const { page, complaints } = await look(await bridge.adminUrl());
  const letter = page.locator('#dead-list li', { hasText: 'refused for good' });
  await letter.waitFor();
  expect(await letter.locator('.reason').textContent()).toContain('422');
  await page.locator('#dead-count.bad', { hasText: '1' }).waitFor();
  hook.respond = () => ({ status: 200 });
  hook.clear();
  await letter.getByRole('button', { name: /^Retry/u }).click();
  await page.locator('#said', { hasText: 'Asked for: a retry of delivery' }).waitFor();
  await hook.waitFor(({ body }) => body.message?.content === 'refused for good');
  await letter.waitFor({ state: 'detached' });
  await page.locator('#no-dead').waitFor();
  await bridge.waitForLog((line) => line['action'] === 'retry');

  // All of an endpoint's, by one button.
  hook.respond = () => ({ status: 422 });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'refused again' });
  await page.locator('#dead-list li', { hasText: 'refused again' }).waitFor();
  hook.respond = () => ({ status: 200 });
  await page.locator(`.endpoint[data-id="${webhookId}"]`).getByRole('button', { name: /^Retry all/u }).click();
  await hook.waitFor(({ body }) => body.message?.content === 'refused again');
  await page.locator('#no-dead').waitFor();
  expect(complaints).toEqual([]);
});

test('an endpoint that is down, one that is disabled and one that is not verified say why; buttons enable, verify and resync', async () => {
  const { db, chat, hook, bridge, webhookId, ...scene } = await runningScene({ env: { RETRY_BASE_MS: '60000', RETRY_MAX_MS: '60000' } });
  const down = await receiver();
  const gone = await receiver({ respond: () => ({ status: 410 }) });
  const silent = await receiver({ challenge: 'wrong' });
  const downId = await scene.register(down.url);
  const goneId = await scene.register(gone.url);
  await down.stopListening();
  const [{ id: silentId } = { id: '' }] = await db.query<{ id: string }>('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1) RETURNING id::text', [silent.url]);
  for (let count = 0; count < 6; count += 1) await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: `message ${count}` });

  const { page, complaints } = await look(await bridge.adminUrl());
  const card = (id: string) => page.locator(`.endpoint[data-id="${id}"]`);
  await card(downId).locator('.badge.failing').waitFor();
  await card(downId).locator('.why', { hasText: 'ECONNREFUSED' }).waitFor();
  await card(downId).locator('.figures', { hasText: /Waiting6.*Failing since(now|\d+(\.\d+)? s ago).*Next attemptin \d+/u }).waitFor();
  await card(goneId).locator('.badge.disabled').waitFor();
  await card(goneId).locator('.why', { hasText: '410' }).waitFor();
  await card(silentId).locator('.why', { hasText: /challenge/u }).waitFor();
  await card(webhookId).locator('.badge.well').waitFor();

  gone.respond = () => ({ status: 200 });
  await card(goneId).getByRole('button', { name: /^Enable/u }).click();
  await card(goneId).locator('.badge.well').waitFor();

  silent.challenge = 'plain';
  await db.query('UPDATE slackchat_bridge.webhooks SET enabled = enabled WHERE id = $1', [silentId]);
  await card(silentId).locator('.badge.well').waitFor();
  silent.clear();
  await card(silentId).getByRole('button', { name: /^Verify/u }).click();
  await silent.waitFor(({ body }) => body.type === 'url_verification');

  hook.clear();
  await card(webhookId).getByRole('button', { name: /^Resync/u }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await card(webhookId).getByRole('button', { name: /^Resync/u }).click();
  await page.getByRole('dialog', { name: /about every channel/u }).getByRole('button', { name: 'Send' }).click();
  await hook.waitFor(({ body }) => body.type === 'update_notification' && body.message === undefined);
  expect(hook.notifications.filter(({ body }) => body.message === undefined)).toHaveLength(1);
  expect(complaints).toEqual([]);
});

test('with an ADMIN_TOKEN it asks for it, and shows nothing and changes nothing without', async () => {
  const { bridge } = await runningScene({ env: { ADMIN_TOKEN: 'sesame' } });
  const { page } = await look(await bridge.adminUrl());
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await expectAccessible(page);
  await shot(page, 'token');
  expect(await page.locator('.endpoint').count()).toBe(0);
  await dialog.getByLabel('ADMIN_TOKEN').fill('wrong');
  await dialog.getByRole('button').click();
  await dialog.getByText('That is not it.').waitFor();
  await dialog.getByLabel('ADMIN_TOKEN').fill('sesame');
  await dialog.getByRole('button').click();
  await page.locator('#state', { hasText: 'streaming' }).waitFor();
  // The tab keeps it; nothing shows it.
  await page.reload();
  await page.locator('#connection.live').waitFor();
  expect(await page.content()).not.toContain('sesame');
});

test('when the bridge ends it says so, and goes on with the next one', async () => {
  const scene = await createScene();
  const first = await scene.start();
  const url = await first.adminUrl();
  const { page } = await look(url);
  await page.locator('#connection.live').waitFor();
  await scene.register(scene.hook.url);
  await insertMessage(scene.db.pool, { channelId: scene.chat.channelId, userId: scene.chat.userIds[0], text: 'of the first' });
  await page.locator('#attempt-list .content', { hasText: 'of the first' }).waitFor();
  await first.stop();
  await page.locator('#connection.lost').waitFor();
  // What is not known any more is not claimed.
  expect(await page.locator('#state').textContent()).toBe('unknown');
  await scene.start({ ADMIN_PORT: new URL(url).port });
  await page.locator('#connection.live').waitFor();
  await insertMessage(scene.db.pool, { channelId: scene.chat.channelId, userId: scene.chat.userIds[0], text: 'of the second' });
  await page.locator('#attempt-list li:first-child .content', { hasText: 'of the second' }).waitFor();
});

test('it passes axe and fits the screen, dark and light, on a desk and on a phone, well and unwell', async () => {
  const { db, chat, hook, bridge, ...scene } = await runningScene({ env: { RETRY_BASE_MS: '200', RETRY_MAX_MS: '400', RETRY_MAX_AGE_MS: '2500' } });
  const slow = await receiver({ respond: () => ({ status: 200, delayUntil: new Promise((resolve) => { setTimeout(resolve, 30); }) }) });
  const poor = await receiver({ respond: ({ body }) => ({ status: body.message?.content?.includes('7') === true ? 500 : 200 }) });
  const gone = await receiver({ respond: () => ({ status: 410 }) });
  await scene.register(slow.url, { chat_types: ['default'], ordering: 'channel' });
  await scene.register(poor.url, { update_types: ['message_created', 'message_changed'] });
  await scene.register(gone.url);
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:9/a/rather/long/path/to/a/renderer/that/is/not/there?key=very-secret-key')");
  for (let count = 0; count < 40; count += 1) {
    const messageId = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: `Turnout in district ${count} is **higher** than four years ago, says the registrar.` });
    if (count % 5 === 0) await insertReaction(db.pool, { messageId, userId: chat.userIds[0] });
  }
  await eventually(async () => expect(await db.query("SELECT FROM slackchat_bridge.deliveries WHERE status = 'dead'")).not.toEqual([]), { timeoutMs: 20_000 });
  const url = await bridge.adminUrl();
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [name, viewport] of Object.entries({ desk: { width: 1280, height: 900 }, phone: PHONE })) {
      const { page, complaints } = await look(url, { colorScheme, viewport });
      await page.locator('#dead-list li').first().waitFor();
      await page.locator('#attempt-list li').first().waitFor();
      await page.locator('#dead-list summary').first().click();
      await page.locator('#attempt-list summary').nth(1).click();
      await page.locator('#attempt-list pre').waitFor();
      await expectAccessible(page);
      await expectNoSidewaysScroll(page);
      await shot(page, `${name}-${colorScheme}`);
      expect(complaints).toEqual([]);
      expect(await page.content()).not.toMatch(/very-secret-key|test-token/u);
    }
  }
  expect(hook.notifications.length).toBeGreaterThan(0);
});
