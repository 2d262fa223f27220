import { expect, onTestFinished, test } from 'vitest';
import { createPool } from '../../src/store/pool.js';
import { Snapshot } from '../../src/store/snapshot.js';
import { readSnapshot } from '../../src/store/snapshot-query.js';
import { createDatabase } from '../support/database.js';

test('a snapshot is what the server says, on whatever session, and queries before and behind it have their own answers', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const pool = createPool(() => ({ connectionString: db.url }), '', 2, () => undefined);
  onTestFinished(async () => pool.end());
  // Of a transaction that is under way all of them tell, each on a session of its own or on one that has been asked before.
  const writer = await db.pool.connect();
  await writer.query('BEGIN');
  const { rows } = await writer.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  const xid = Number(rows[0]?.xid);
  const answers = await Promise.all([readSnapshot(pool), pool.query('SELECT 1 AS one'), readSnapshot(pool), readSnapshot(pool), pool.query('SELECT 2 AS two'), readSnapshot(pool)]);
  await writer.query('COMMIT');
  writer.release();
  const after = await readSnapshot(pool);
  for (const snapshot of [answers[0], answers[2], answers[3], answers[5]]) expect(new Snapshot(snapshot).sees(xid)).toBe(false);
  expect([answers[1].rows, answers[4].rows]).toEqual([[{ one: '1' }], [{ two: '2' }]]);
  expect(new Snapshot(after).sees(xid)).toBe(true);
});

test('an error, and a session that breaks, fail the one that asks and nobody after it', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const pool = createPool(() => ({ connectionString: db.url }), '', 1, () => undefined);
  onTestFinished(async () => pool.end());
  const { rows } = await pool.query<{ pid: string }>('SELECT pg_backend_pid() AS pid');
  await readSnapshot(pool);
  // The statement is gone: another pooler, or DEALLOCATE ALL.
  await pool.query('DEALLOCATE ALL');
  await expect(readSnapshot(pool)).rejects.toThrow('does not exist');
  await expect(pool.query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: '1' }] });
  await db.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
  const broken = readSnapshot(pool).catch(() => 'broken');
  await broken;
  await expect(readSnapshot(pool)).resolves.toMatch(/^\d+:\d+:/u);
});
