import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { eventually } from './eventually.js';
import { choosePostgres, type PostgresSource } from './postgres-source.js';

export interface TestServer {
  readonly url: string;
  /** The database with the application's tables that fresh ones are copied from. */
  readonly template: string;
  /** What the name of every database of this run begins with. */
  readonly prefix: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    server: TestServer;
    /** What the build said when it failed; empty when the command is there. */
    buildError: string;
  }
}

const root = join(import.meta.dirname, '../..');

/** One PostgreSQL and one build of the command for the whole run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const source = await choosePostgres(process.env);
  try {
    const prefix = `scb_${randomBytes(4).toString('hex')}_`;
    const template = `${prefix}template`;
    // A container's port can be open a moment before its server.
    const version = await eventually(async () => withClient(source.url, checkServer), { timeoutMs: 20_000 });
    await createTemplate(source, template);
    process.stdout.write(`test database: ${source.label}${source.label === 'embedded' ? ' ' : ', '}PostgreSQL ${version}\n`);
    project.provide('server', { url: source.url, template, prefix });
    project.provide('buildError', await buildIfStale());
    return async () => {
      if (source.shared) await dropAll(source, prefix);
      await source.stop();
    };
  } catch (error) {
    await source.stop();
    throw error;
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function checkServer(client: Client): Promise<string> {
  const { rows } = await client.query<{ version: string; wal_level: string; superuser: boolean }>(`
    SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_setting('wal_level') AS wal_level,
           rolsuper AS superuser FROM pg_roles WHERE rolname = current_user`);
  const [row] = rows;
  if (row?.wal_level !== 'logical') throw new Error(`The test database's wal_level is "${row?.wal_level ?? 'unknown'}": the tests need "logical"`);
  if (!row.superuser) throw new Error('The test database URL must be that of a superuser');
  return row.version;
}

async function createTemplate(source: PostgresSource, template: string): Promise<void> {
  await withClient(source.url, async (client) => client.query(`CREATE DATABASE ${template} TEMPLATE template0 ENCODING 'UTF8'`));
  const url = new URL(source.url);
  url.pathname = template;
  const tables = await readFile(join(root, 'sql/slackchat.sql'), 'utf8');
  await withClient(url.href, async (client) => client.query(tables));
  // Nobody else's session, autovacuum's included, may be in a database that is being copied.
  await withClient(source.url, async (client) => client.query(`ALTER DATABASE ${template} ALLOW_CONNECTIONS false`));
}

async function dropAll(source: PostgresSource, prefix: string): Promise<void> {
  await withClient(source.url, async (client) => {
    const { rows } = await client.query<{ datname: string }>('SELECT datname FROM pg_database WHERE starts_with(datname, $1)', [prefix]);
    for (const { datname } of rows) {
      await client.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active', [datname]);
      await eventually(async () => client.query(`DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`));
    }
  });
}

/** Tests that do not start the command run all the same when it does not build: the others say why they cannot. */
async function buildIfStale(): Promise<string> {
  const built = await stat(join(root, 'dist/main.js')).then(
    (found) => found.mtimeMs,
    () => 0,
  );
  const sources = await readdir(join(root, 'src'), { recursive: true });
  const times = await Promise.all(sources.map(async (path) => (await stat(join(root, 'src', path))).mtimeMs));
  if (built > Math.max(...times)) return '';
  try {
    await promisify(execFile)('npm', ['run', 'build'], { cwd: root, shell: process.platform === 'win32' });
    return '';
  } catch (error) {
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    return `npm run build failed: ${String(error)}\n${said}`;
  }
}
