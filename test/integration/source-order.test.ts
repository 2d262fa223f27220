import { expect, onTestFinished, test } from 'vitest';
import { openSource } from '../../src/chat.js';
import { bridgeConfig } from '../../src/config.js';
import { createPool, sessionOptions } from '../../src/store/pool.js';
import { createDatabase } from '../support/database.js';
import { bridgeEnv } from '../support/process.js';

test('keys that are numbers are in the order of numbers: 9 before 10', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const { chatTypeId } = await db.seedChat();
  await db.query(
    `INSERT INTO slackchat_customcontenttemplate (name, search_string, content_template, chat_type_id) SELECT i::text, 'x' || i, '', $1 FROM generate_series(1, 12) i`,
    [chatTypeId],
  );
  await db.query("INSERT INTO slackchat_user (api_id, image, title) SELECT 'N' || i, '', '' FROM generate_series(1, 120) i");
  const pool = createPool(() => ({ connectionString: db.url }), sessionOptions('UTC', 30_000), 2, () => undefined);
  onTestFinished(async () => pool.end());
  const source = await openSource(pool, bridgeConfig(bridgeEnv(db)));
  const ids = (rows: readonly { readonly [column: string]: unknown }[]): number[] => rows.map(({ id }) => Number(id));
  const templates = ids(await source.templates([String(chatTypeId)]));
  expect(templates).toHaveLength(12);
  expect(templates).toEqual(templates.toSorted((one, other) => one - other));
  const newest = ids(await source.newest('user', 3));
  const [most] = await db.query<{ id: number }>('SELECT max(id)::int AS id FROM slackchat_user');
  expect(newest).toEqual([0, 1, 2].map((less) => (most?.id ?? 0) - less));
});
