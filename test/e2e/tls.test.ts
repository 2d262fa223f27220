import { createServer, type Server } from 'node:https';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { insertMessage } from '../support/chat.js';
import { createAuthority, type Certificate } from '../support/certificates.js';
import { eventually } from '../support/eventually.js';
import { createScene, waitVerified } from '../support/scene.js';

/** Echoes challenges, and notes the texts of messages. */
async function startSecure({ cert, key }: Certificate): Promise<{ readonly url: (host: string) => string; readonly texts: string[] }> {
  const texts: string[] = [];
  const server: Server = createServer({ cert, key }, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part)).on('end', () => {
      texts.push(body);
      response.end(/"challenge":"(\w+)"/u.exec(body)?.[1] ?? '');
    });
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  return { url: (host) => `https://${host}:${(server.address() as AddressInfo).port}/hook`, texts };
}

test('a receiver\'s certificate has to be signed by someone trusted, valid, and its own; NODE_EXTRA_CA_CERTS adds one who is trusted', async () => {
  const [authority, stranger] = await Promise.all([createAuthority('authority'), createAuthority('stranger')]);
  const folder = await mkdtemp(join(tmpdir(), 'slackchat-bridge-ca-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const file = join(folder, 'authority.pem');
  await writeFile(file, authority.cert);
  const trusted = await startSecure(await authority.issue(['127.0.0.1']));
  const refused = {
    'self-signed': (await startSecure(stranger)).url('127.0.0.1'),
    'signed by a stranger': (await startSecure(await stranger.issue(['127.0.0.1']))).url('127.0.0.1'),
    expired: (await startSecure(await authority.issue(['127.0.0.1'], { until: new Date(Date.now() - 60_000) }))).url('127.0.0.1'),
    'of another name': trusted.url('localhost'),
  };
  const scene = await createScene({ env: { NODE_EXTRA_CA_CERTS: file, RETRY_BASE_MS: '60000' } });
  const { db, chat } = scene;
  await scene.start();
  await scene.register(trusted.url('127.0.0.1'));
  for (const url of Object.values(refused)) await db.query('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1)', [url]);
  await eventually(async () => {
    const rows = await db.query<{ endpoint: string; last_error: string | null }>('SELECT endpoint, last_error FROM slackchat_bridge.webhooks WHERE NOT verified');
    const reasons = new Map(rows.map(({ endpoint, last_error: reason }) => [endpoint, reason]));
    expect(reasons.get(refused['self-signed'])).toMatch(/self.signed/u);
    expect(reasons.get(refused['signed by a stranger'])).toMatch(/unable to verify|self.signed|UNABLE_TO/u);
    expect(reasons.get(refused.expired)).toMatch(/expired/u);
    expect(reasons.get(refused['of another name'])).toMatch(/ALTNAME/u);
  });
  await insertMessage(db.pool, { channelId: chat.channelId, userId: chat.userIds[0], text: 'sealed' });
  await eventually(() => expect(trusted.texts.filter((text) => text.includes('sealed'))).toHaveLength(1));
});

test('without it nobody but the usual authorities is trusted', async () => {
  const authority = await createAuthority('authority');
  const receiver = await startSecure(await authority.issue(['127.0.0.1']));
  const scene = await createScene();
  await scene.start();
  await scene.register(scene.hook.url);
  await scene.db.query('INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ($1)', [receiver.url('127.0.0.1')]);
  await eventually(async () => {
    const [row] = await scene.db.query('SELECT verified, last_error FROM slackchat_bridge.webhooks WHERE last_error IS NOT NULL');
    expect(row).toEqual({ verified: false, last_error: expect.stringMatching(/verification failed: .*(certificate|CERT)/u) as string });
  });
  expect(receiver.texts).toEqual([]);
  await waitVerified(scene.db, '1');
});
