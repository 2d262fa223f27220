import { expect, onTestFinished, test } from 'vitest';
import { createPool, inTransaction, sessionOptions } from '../../src/store/pool.js';
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

test('every session of the pool has its time-outs and a fixed search_path, whatever the role or the database sets', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.query(`ALTER DATABASE ${db.name} SET statement_timeout = 0`);
  await db.query(`ALTER DATABASE ${db.name} SET search_path = evil, public`);
  const pool = createPool(() => ({ connectionString: db.url }), sessionOptions('UTC', 30_000), 2, () => undefined);
  onTestFinished(async () => pool.end());
  const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'search_path'];
  const { rows } = await pool.query<{ value: string }>('SELECT current_setting(name) AS value FROM unnest($1::text[]) name', [names]);
  expect(rows.map(({ value }) => value)).toEqual(['30s', '5s', '1min', 'pg_catalog']);
});

test('a lock that someone holds on a table of the application fails a query after some seconds, and holds nothing else up', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const pool = createPool(() => ({ connectionString: db.url }), sessionOptions('UTC', 400), 1, () => undefined);
  onTestFinished(async () => pool.end());
  const holder = await db.pool.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE slackchat_message IN ACCESS EXCLUSIVE MODE');
  await expect(pool.query('SELECT FROM public.slackchat_message')).rejects.toThrow(/lock timeout|statement timeout/u);
  await holder.query('ROLLBACK');
  holder.release();
  await expect(pool.query('SELECT FROM public.slackchat_message')).resolves.toBeDefined();
  await expect(pool.query('SELECT pg_sleep(10)')).rejects.toThrow('statement timeout');
});
