import { expect, onTestFinished, test } from 'vitest';
import { Decoder } from '../../src/wal/decoder.js';
import { createDatabase } from '../support/database.js';
import { Oracle } from '../unit/pgoutput-oracle.js';

const LONG = 'x'.repeat(200);

/** Everything that a server tells of these statements, each in a transaction of its own. */
async function messagesOf(identity: string, statements: readonly string[]): Promise<readonly Buffer[]> {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.query('CREATE SCHEMA chat');
  await db.query("CREATE TYPE chat.mood AS ENUM ('good', 'bad')");
  await db.query(`CREATE TABLE chat.posts (id int PRIMARY KEY, "a ""name""" text, big text, at timestamptz, n numeric, j jsonb, bytes bytea, list text[], mood chat.mood)`);
  await db.query('ALTER TABLE chat.posts ALTER big SET STORAGE EXTERNAL');
  await db.query(`ALTER TABLE chat.posts REPLICA IDENTITY ${identity}`);
  await db.query('CREATE PUBLICATION p FOR TABLE chat.posts');
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [db.slotName]);
  for (const statement of statements) await db.query(statement);
  const rows = await db.query<{ data: Buffer }>(
    "SELECT data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', 'p', 'messages', 'true')",
    [db.slotName],
  );
  return rows.map((row) => row.data);
}

test.each(['FULL', 'DEFAULT'])('what a server with REPLICA IDENTITY %s tells is read as the package\'s parser reads it', async (identity) => {
  const messages = await messagesOf(identity, [
    `INSERT INTO chat.posts VALUES (1, 'ein "Satz" \u{1F600}', repeat('${LONG}', 100), '2018-10-16 17:23:49.000123+02', 12345678901234567890.10, '{"a": null}', '\\x00ff', '{a,NULL}', 'good')`,
    "INSERT INTO chat.posts (id, big) SELECT i, '' FROM generate_series(2, 50) i",
    "UPDATE chat.posts SET n = n + 1 WHERE id = 1",
    'UPDATE chat.posts SET id = 100 WHERE id = 1',
    'DELETE FROM chat.posts WHERE id < 10',
    'ALTER TABLE chat.posts DROP COLUMN at, ADD COLUMN more int DEFAULT 7',
    'UPDATE chat.posts SET more = NULL WHERE id = 100',
    "SELECT pg_logical_emit_message(true, 'ours', 'ü')",
    "SELECT pg_logical_emit_message(false, 'ours', 'outside')",
    'TRUNCATE chat.posts',
  ]);
  const watched = { entity: 'message' as const, schema: 'chat', table: 'posts', columns: new Map<string, string>(), required: [], everyColumn: true };
  const decoder = new Decoder([watched], 'ours');
  const oracle = new Oracle('ours');
  const decoded = messages.map((data) => {
    const message = decoder.decode(data);
    expect(message).toEqual(oracle.read(data));
    return message;
  });
  const updates = decoded.filter((message) => message?.tag === 'row' && message.change.op === 'update');
  // The long text was not written again: it comes from the old row, or not at all.
  expect(updates[0]).toMatchObject({ change: { after: { id: '1', n: '12345678901234567891.10', big: identity === 'FULL' ? LONG.repeat(100) : undefined } } });
  expect(new Set(decoded.map((message) => message?.tag ?? null))).toEqual(new Set(['begin', 'commit', 'row', 'control', 'truncate', null]));
});
