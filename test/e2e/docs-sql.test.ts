import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { insertChannel } from '../support/chat.js';
import { runCommand } from '../support/process.js';
import { createScene } from '../support/scene.js';

const root = join(import.meta.dirname, '../..');

/** Not for the chat's database: what changes the whole server, and what is left to the reader to fill in. */
const LEFT_OUT = /ALTER SYSTEM|CREATE ROLE|pg_drop_replication_slot|…/u;

test('the SQL in the pages runs on a database that is set up', async () => {
  const { db, chat, env } = await createScene();
  expect((await runCommand(env, ['setup'])).code).toBe(0);
  // What the pages speak of: a channel, an endpoint, a delivery.
  const id = '6f1d2c3b-4a59-4e68-8f70-112233445566';
  await insertChannel(db.pool, { id, chatTypeId: chat.chatTypeId, ownerId: chat.userIds[0], publish_path: '/another/' });
  await db.query("INSERT INTO slackchat_bridge.webhooks (endpoint) VALUES ('http://127.0.0.1:1/')");
  await db.query("INSERT INTO slackchat_bridge.deliveries (webhook_id, notification_id, lane, commit_lsn, seq, channel_id, body) VALUES (1, 'n', 'l', '0/1', 0, 'c', '{}')");
  let ran = 0;
  for (const page of ['README.md', 'docs/delivery.md', 'docs/operations.md', 'docs/troubleshooting.md', 'docs/postgresql.md']) {
    const text = await readFile(join(root, page), 'utf8');
    const statements = [...text.matchAll(/^```sql\n([\s\S]*?)^```$/gmu), ...text.matchAll(/`((?:SELECT|INSERT|UPDATE|DELETE) [^`]*)`/gu)].map(([, sql = '']) => sql);
    for (const sql of statements.filter((one) => !LEFT_OUT.test(one))) {
      await db.pool.query(sql).catch((error: unknown) => {
        expect.fail(`${page}: ${sql}\n${String(error)}`);
      });
      ran += 1;
    }
  }
  expect(ran).toBeGreaterThanOrEqual(10);
});
