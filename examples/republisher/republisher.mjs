import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { handler } from 'slackchat-bridge/receiver';
import { page } from './page.mjs';

const { WEBHOOK_VERIFICATION_TOKEN: token, WEBHOOK_SECRET: secret, API_URL, SITE = 'site', PORT = '4801' } = process.env;
if (token === undefined || API_URL === undefined) throw new Error('set WEBHOOK_VERIFICATION_TOKEN, and API_URL to the address of the chat\'s API');

const print = (line) => process.stdout.write(`${line}\n`);
// Two spellings of one id are one channel, and no id leads out of the folder.
const nameOf = (channel) => channel.replaceAll('-', '').replaceAll(/\W/gu, '_');
const readAt = new Map();

async function publish({ channel }, { receivedAt }) {
  const name = nameOf(channel);
  // Read since this arrived: the page has it already. After many changes at once one fetch is enough.
  if ((readAt.get(name) ?? 0) > receivedAt) return;
  const now = Date.now();
  const response = await fetch(new URL(`channels/${encodeURIComponent(channel)}/`, API_URL), { signal: AbortSignal.timeout(8_000) });
  if (response.status === 404) return takeDown({ channel });
  // Thrown: the bridge sends the notification again.
  if (!response.ok) throw new Error(`the API answered ${response.status}`);
  await writeFile(join(SITE, `${name}.new`), page(await response.json()));
  // Renamed, so that nobody is served half of a page.
  await rename(join(SITE, `${name}.new`), join(SITE, `${name}.html`));
  readAt.set(name, now);
  print(`published ${name}.html`);
}

async function takeDown({ channel }) {
  await rm(join(SITE, `${nameOf(channel)}.html`), { force: true });
  readAt.delete(nameOf(channel));
  print(`took down ${nameOf(channel)}.html`);
}

const hook = handler({
  token,
  ...(secret === undefined ? {} : { secret }),
  // A page is of a channel: one at a time for each.
  ordering: 'channel',
  onNotification: publish,
  onUnpublish: takeDown,
});

await mkdir(SITE, { recursive: true });
createServer(hook).listen(Number(PORT), '127.0.0.1', () => print(`listening on http://127.0.0.1:${PORT}/`));
