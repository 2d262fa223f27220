import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createDatabase } from '../support/database.js';

const MIGRATIONS = join(import.meta.dirname, '../../sql/migrations');

test('a role that runs the bridge may do in the table of what is complete, once it is there, what it may do in the others; nobody else may', async () => {
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const roles = ['runs', 'reads', 'other'].map((name) => `${db.slotName}_${name}`);
  for (const role of roles) await db.query(`CREATE ROLE ${role}`);
  onTestFinished(async () => {
    for (const role of roles) await db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
  await db.query('CREATE SCHEMA slackchat_bridge');
  for (const name of (await readdir(MIGRATIONS)).toSorted()) {
    if (name.startsWith('0007')) {
      await db.query(`GRANT SELECT ON ALL TABLES IN SCHEMA slackchat_bridge TO ${roles[0]}, ${roles[1]}`);
      await db.query(`GRANT INSERT, UPDATE, DELETE ON slackchat_bridge.meta TO ${roles[0]}`);
    }
    await db.query(await readFile(join(MIGRATIONS, name), 'utf8'));
  }
  const may = await db.query<{ role: string; privileges: string }>(
    `SELECT r.role, string_agg(p.privilege, ' ' ORDER BY p.privilege) AS privileges FROM unnest($1::text[]) AS r(role), unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p(privilege)
      WHERE has_table_privilege(r.role, 'slackchat_bridge.complete_since', p.privilege) GROUP BY r.role ORDER BY r.role`, [roles],
  );
  expect(may).toEqual([{ role: roles[1], privileges: 'SELECT' }, { role: roles[0], privileges: 'DELETE INSERT SELECT UPDATE' }]);
});
