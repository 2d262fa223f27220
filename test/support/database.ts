import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseError, Pool } from 'pg';
import { inject } from 'vitest';
import { seedChat, type Chat } from './chat.js';
import { eventually } from './eventually.js';

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  readonly pool: Pool;
  /** Slots are the whole server's, not a database's: the name that this database's bridge must give its own. */
  readonly slotName: string;
  /** The rows. */
  query<Row extends Record<string, unknown> = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  seedChat(): Promise<Chat>;
  /** The same user and password to the same server through another address, a proxy's for instance. */
  urlVia(port: number): string;
  /** With its replication slots and whoever is connected. */
  drop(): Promise<void>;
}

const IN_USE = '55006';

export interface DatabaseOptions {
  /** URL of a server of the test's own, one that it stops and starts say. By default: the server of the whole run. */
  readonly serverUrl?: string;
}

/** A fresh database with the application's tables, empty. */
export async function createDatabase({ serverUrl }: DatabaseOptions = {}): Promise<TestDatabase> {
  const shared = inject('server');
  const adminUrl = serverUrl ?? shared.url;
  const name = `${shared.prefix}${randomBytes(5).toString('hex')}`;
  const template = serverUrl === undefined ? shared.template : 'template0';
  await asAdmin(adminUrl, async (admin) => admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = new URL(adminUrl);
  url.pathname = name;
  const pool = new Pool({ connectionString: url.href, max: 20 });
  // A server that is stopped on purpose breaks idle connections: that is no failure of the test.
  pool.on('error', () => undefined);
  if (serverUrl !== undefined) await pool.query(await readFile(join(import.meta.dirname, '../../sql/slackchat.sql'), 'utf8'));
  return {
    name,
    url: url.href,
    pool,
    slotName: name,
    query: async <Row extends Record<string, unknown>>(text: string, params: readonly unknown[] = []) => (await pool.query<Row>(text, [...params])).rows,
    seedChat: async () => seedChat(pool),
    urlVia: (port) => {
      const via = new URL(url);
      via.hostname = '127.0.0.1';
      via.port = String(port);
      return via.href;
    },
    drop: async () => {
      await pool.end();
      await asAdmin(adminUrl, async (admin) => dropDatabase(admin, name));
    },
  };
}

async function asAdmin<T>(url: string, use: (admin: Pool) => Promise<T>): Promise<T> {
  const admin = new Pool({ connectionString: url, max: 1 });
  try {
    return await use(admin);
  } finally {
    await admin.end();
  }
}

async function dropDatabase(admin: Pool, name: string): Promise<void> {
  // A bridge that is still running takes its slot again: it is locked out first.
  await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await eventually(async () => {
    await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    const { rows } = await admin.query<{ slot_name: string }>('SELECT slot_name FROM pg_replication_slots WHERE database = $1', [name]);
    for (const { slot_name: slot } of rows) {
      await admin.query('SELECT pg_drop_replication_slot($1)', [slot]).catch((error: unknown) => {
        // Gone with its session, or its session is not gone yet: then the DROP below fails and all of it is done again.
        if (!(error instanceof DatabaseError && (error.code === IN_USE || error.code === '42704'))) throw error;
      });
    }
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  });
}
