import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, onTestFinished, test } from 'vitest';
import { insertMessage, insertReaction } from '../support/chat.js';
import { startReceiver } from '../support/receiver.js';
import { createScene } from '../support/scene.js';
import { closeBrowser, look, PHONE, shot } from './look.js';
afterAll(closeBrowser);
const TEXTS = ['Polls close in ten minutes in the east of the state.', 'Turnout in Cook County is **higher** than four years ago, says the clerk.', 'First results: 41 % counted in District 7.', 'The governor speaks at nine, we will carry it live.', 'Correction: the margin in District 3 is 1,204 votes.', 'Both campaigns have asked for a recount in two precincts.'];
test('scene', async () => {
  const scene = await createScene({ env: { RETRY_BASE_MS: '500', RETRY_MAX_MS: '8000', RETRY_MAX_AGE_MS: '15000', SLOT_NAME: 'slackchat_bridge' } });
  const { db, chat } = scene;
  const bridge = await scene.start();
  const make = async (path: string, ...options: Parameters<typeof startReceiver>) => { const r = await startReceiver(...options); onTestFinished(async () => r.close()); return { r, id: await scene.register(r.url.replace('/hook', path)), }; };
  let bad = false;
  await make('/renderer/live', { respond: () => ({ status: 200, delayUntil: delay(2 + Math.random() * 6) }) });
  const push = await make('/push-notifications', { respond: ({ body }) => ({ status: body.message?.content?.includes('Correction') === true && Math.random() < 0.9 && bad ? 422 : 200 }) });
  const archive = await make('/archive', { respond: () => ({ status: 200, delayUntil: delay(8 + Math.random() * 30) }) });
  await make('/old-site', { respond: () => ({ status: 410 }) });
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:9/staging?key=k')");
  const end = Date.now() + Number(process.env['MINUTES'] ?? 4) * 60_000;
  const began = Date.now();
  let last = 0; let n = 0; let down = false;
  while (Date.now() < end) {
    const t = (Date.now() - began) / 1000;
    const rate = 2.4 + 1.4 * Math.sin(t / 75) + 0.8 * Math.sin(t / 19) + (Math.sin(t / 31) > 0.93 ? 4 : 0);
    const share = (Date.now() - began) / (end - began);
    bad = share > 0.55 && share < 0.58;
    if (!down && share > 0.985) { down = true; await archive.r.stopListening(); }
    const id = await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[n % chat.userIds.length] ?? 1, text: TEXTS[n % TEXTS.length] ?? '' });
    if (n % 4 === 0) await insertReaction(db.pool, { messageId: last || id, userId: chat.userIds[0] });
    last = id; n += 1;
    await delay(1000 / Math.max(0.3, rate));
  }
  void push;
  const url = await bridge.adminUrl();
  for (const colorScheme of ['light', 'dark'] as const) for (const [name, viewport] of Object.entries({ desk: { width: 1200, height: 1100 }, phone: PHONE })) {
    const { page } = await look(url, { colorScheme, viewport });
    await page.locator('#attempt-list li').first().waitFor();
    await page.locator('#endpoint-list li').first().waitFor();
    await delay(1500);
    await shot(page, `scene-${name}-${colorScheme}`);
  }
}, 2_000_000);
