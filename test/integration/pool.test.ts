import { expect, onTestFinished, test } from 'vitest';
import { createPool, inTransaction } from '../../src/store/pool.js';
import { createDatabase } from '../support/database.js';

test('a session that breaks between two queries of a transaction fails the transaction and nothing else; the next one has another session', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const pool = createPool(() => ({ connectionString: db.url }), '', 1, () => undefined);
  onTestFinished(async () => pool.end());
  const broken = inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ pid: string }>('SELECT pg_backend_pid() AS pid');
    // Not events.once, which would listen for errors itself.
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    await db.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await ended;
    await client.query('SELECT 1');
  });
  await expect(broken).rejects.toThrow();
  const { rows } = await inTransaction(pool, async (client) => client.query<{ one: string }>('SELECT 1 AS one'));
  expect(rows).toEqual([{ one: '1' }]);
});
