import { execFile } from 'node:child_process';
import { appendFile, chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { findBinaries } from '../../src/demo/postgres-binaries.js';
import { spawnPostgres } from '../../src/demo/postgres-guardian.js';
import { freePort, type PostgresServer } from '../../src/demo/postgres.js';
import { eventually } from './eventually.js';

/** A hot standby that streams from a primary, with the primary's roles and passwords. */
export interface StandbyServer {
  readonly port: number;
  url(database?: string): string;
  /** It takes writes, on a timeline of its own. */
  promote(): Promise<void>;
  dispose(): Promise<void>;
}

const run = promisify(execFile);

/**
 * From a base backup that is taken now.
 * @param name of its physical slot on the primary, which is made
 */
export async function startStandby(primary: PostgresServer, name: string, settings: Readonly<Record<string, string>> = {}): Promise<StandbyServer> {
  const binaries = await findBinaries();
  const folder = await mkdtemp(join(binaries.tempDir, 'slackchat-bridge-standby-'));
  const dataDir = join(folder, 'data');
  const from = new URL(primary.url());
  const query = async (url: string, ...statements: readonly string[]): Promise<unknown> => {
    const client = new Client({ connectionString: url, ssl: false });
    await client.connect();
    try {
      let last: unknown;
      for (const sql of statements) last = (await client.query<{ value: unknown }>(sql)).rows[0]?.value;
      return last;
    } finally {
      await client.end();
    }
  };

  await query(primary.url(), `SELECT pg_create_physical_replication_slot('${name}', true)`);
  const backup = new Client({ connectionString: primary.url(), ssl: false });
  await backup.connect();
  await backup.query(`SELECT pg_backup_start('${name}', true)`);
  await run('cp', ['-a', primary.dataDir, dataDir]);
  const label = await backup.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)');
  await backup.end();
  for (const file of ['postmaster.pid', 'postmaster.opts']) await rm(join(dataDir, file), { force: true });
  for (const slot of await readdir(join(dataDir, 'pg_replslot'))) await rm(join(dataDir, 'pg_replslot', slot), { recursive: true });
  await writeFile(join(dataDir, 'backup_label'), label.rows[0]?.labelfile ?? '');
  await writeFile(join(dataDir, 'standby.signal'), '');
  const all = {
    primary_conninfo: `host=127.0.0.1 port=${primary.port} user=${from.username} password=${from.password} dbname=postgres application_name=${name}`,
    primary_slot_name: name,
    ...settings,
  };
  await appendFile(join(dataDir, 'postgresql.auto.conf'), Object.entries(all).map(([key, value]) => `${key} = '${value}'\n`).join(''));
  const { account } = binaries;
  if (account !== undefined) for (const path of [folder, join(dataDir, 'backup_label'), join(dataDir, 'standby.signal')]) await chown(path, account.uid, account.gid);

  const port = await freePort();
  const url = (database = 'postgres'): string => {
    const at = new URL(primary.url(database));
    at.port = String(port);
    return at.href;
  };
  const server = spawnPostgres({ binaries, logFile: join(folder, 'server.log'), folder, args: ['-D', dataDir, '-p', String(port)] });
  const dispose = async (): Promise<void> => {
    if (server.running) {
      server.signal('QUIT');
      await server.exited();
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await eventually(async () => query(url(), 'SELECT 1'), { timeoutMs: 30_000 });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    port,
    url,
    promote: async () => void (await query(url(), 'SELECT pg_promote(true, 30)')),
    dispose,
  };
}
