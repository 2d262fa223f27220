import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { findBinaries, locatePackage, usableBinaries, type Account } from '../../src/demo/postgres-binaries.js';
import { startPostgres, type PostgresServer } from '../../src/demo/postgres.js';
import { eventually } from '../support/eventually.js';

const root = join(import.meta.dirname, '../..');
const asRoot = process.getuid?.() === 0;
const account: Account | undefined = asRoot ? { uid: 65534, gid: 65534 } : undefined;

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function expectGone(url: string, folder: string): Promise<void> {
  await eventually(async () => {
    await expect(query(url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    await expect(access(folder)).rejects.toThrow('ENOENT');
  });
}

describe('a server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ settings: { wal_sender_timeout: '7s', application_name: `it's a \\ test` } });
  });
  afterAll(async () => server.dispose());

  test('is ready for logical replication, in UTF-8, with the settings that were asked for', async () => {
    const [row] = await query(
      server.url(),
      `SELECT current_setting('wal_level') AS wal_level, current_setting('server_encoding') AS encoding,
      current_setting('wal_sender_timeout') AS timeout, split_part(current_setting('server_version'), ' ', 1) AS version,
      (SELECT reset_val FROM pg_settings WHERE name = 'application_name') AS quoted`,
    );
    expect(row).toEqual({ wal_level: 'logical', encoding: 'UTF8', timeout: '7s', version: server.version, quoted: `it's a \\ test` });
  });

  test('refuses a wrong password', async () => {
    const url = new URL(server.url());
    url.password = 'wrong';
    await expect(query(url.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  test.each(['fast', 'immediate', 'smart'] as const)('keeps its data and its port through stop %s and start', async (mode) => {
    await query(server.url(), `CREATE TABLE kept_${mode} AS SELECT 42 AS answer`);
    const { port } = server;
    await server.stop(mode);
    await expect(query(server.url(), 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    await server.start();
    expect(server.port).toBe(port);
    expect(await query(server.url(), `SELECT * FROM kept_${mode}`)).toEqual([{ answer: 42 }]);
  });

  test('stop smart waits for clients, stop fast drops them', async () => {
    const client = new Client({ connectionString: server.url() });
    const dropped = once(client, 'error');
    client.on('error', () => undefined); // the server's farewell, then the end of the connection
    await client.connect();
    const order: string[] = [];
    const smart = server.stop('smart').then(() => order.push('stopped'));
    expect(await client.query<{ one: number }>('SELECT 1 AS one').then((result) => result.rows)).toEqual([{ one: 1 }]);
    order.push('client still served');
    await Promise.all([server.stop('fast'), dropped, smart]);
    expect(order).toEqual(['client still served', 'stopped']);
    await server.start();
  });
});

test('a server that cannot start says why, with the end of its log, and leaves nothing behind', async () => {
  const { binDir } = await findBinaries();
  const folder = await mkdtemp(join(tmpdir(), 'slackchat-bridge-test-'));
  await chmod(folder, 0o755);
  vi.stubEnv('TMPDIR', folder);
  await expect(startPostgres({ binDir, settings: { shared_preload_libraries: 'no_such_library' } })).rejects.toThrow(/did not start.*no_such_library/s);
  vi.unstubAllEnvs();
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

test('an abort disposes of the server', async () => {
  const abort = new AbortController();
  const server = await startPostgres({ signal: abort.signal });
  abort.abort();
  await expectGone(server.url(), dirname(server.dataDir));
  await expect(startPostgres({ signal: abort.signal })).rejects.toThrow('abort');
});

describe.skipIf(process.platform === 'win32')('a server does not outlive the process that started it', () => {
  const script = `
    import { startPostgres } from ${JSON.stringify(pathToFileURL(join(root, 'dist/demo/postgres.js')).href)}
    const server = await startPostgres()
    console.log(JSON.stringify({ url: server.url(), folder: server.dataDir + '/..' }))
    process.stdin.once('data', () => process.exit(0))`;

  test.each(['SIGKILL', 'SIGTERM', 'SIGINT', 'process.exit'] as const)('%s', async (end) => {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const announced: unknown[] = await once(createInterface({ input: parent.stdout }), 'line');
    const { url, folder } = z.object({ url: z.string(), folder: z.string() }).parse(JSON.parse(String(announced[0])));
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const exited = once(parent, 'exit');
    if (end === 'process.exit') parent.stdin.write('now\n');
    else parent.kill(end);
    await exited;
    await expectGone(url, folder);
  });
});

describe.skipIf(process.platform === 'win32')('binaries that do not run where they are', () => {
  let folder: string;
  let packageDir: string;
  let tempDir: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slackchat-bridge-test-'));
    packageDir = join(folder, 'package');
    tempDir = join(folder, 'tmp');
    for (const path of [packageDir, tempDir]) await mkdir(path);
    for (const path of [folder, packageDir, tempDir]) await chmod(path, 0o755);
    // As npm unpacks it when install scripts are off: without the symlinks.
    const from = locatePackage();
    const list: unknown = JSON.parse(await readFile(join(from, 'native/pg-symlinks.json'), 'utf8'));
    const links = new Set(
      z
        .array(z.object({ target: z.string() }))
        .parse(list)
        .map((link) => join(from, link.target)),
    );
    await cp(from, packageDir, { recursive: true, filter: (path) => !links.has(path) && !path.endsWith('.a') });
  });
  afterAll(async () => rm(folder, { recursive: true, force: true }));

  const leftovers = async (): Promise<string[]> => (await readdir(tempDir)).filter((name) => /\.(new|old)-/.test(name));

  test('without their symlinks: one copy has them, also when two make it at once', async () => {
    const [first, second] = await Promise.all([usableBinaries(packageDir, tempDir, account), usableBinaries(packageDir, tempDir, account)]);
    expect(first.binDir.startsWith(tempDir)).toBe(true);
    expect(second.binDir).toBe(first.binDir);
    expect(await leftovers()).toEqual([]);
    const server = await startPostgres({ binDir: first.binDir });
    expect(await query(server.url(), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.dispose();
  });

  test('a copy with a file missing is made again', async () => {
    const { binDir } = await usableBinaries(packageDir, tempDir, account);
    const lost = join(binDir, '../share/postgresql/postgres.bki');
    await rm(lost);
    await usableBinaries(packageDir, tempDir, account);
    await access(lost);
  });

  test('a copy that others can write to is not run', async () => {
    const { binDir } = await usableBinaries(packageDir, tempDir, account);
    await chmod(dirname(binDir), 0o777);
    await expect(usableBinaries(packageDir, tempDir, account)).rejects.toThrow('remove it');
    await chmod(dirname(binDir), 0o755);
  });

  describe('with their symlinks', () => {
    beforeAll(async () => {
      const copy = dirname((await usableBinaries(packageDir, tempDir, account)).binDir);
      await cp(copy, join(packageDir, 'native'), { recursive: true, verbatimSymlinks: true });
    });

    test('they are used in place', async () => {
      expect((await usableBinaries(packageDir, tempDir, account)).binDir).toBe(join(packageDir, 'native/bin'));
    });

    test('in a folder that the server cannot enter: a copy is', async () => {
      if (!asRoot) return; // We run the server as ourselves, and then the folder is ours.
      await chmod(packageDir, 0o700);
      expect((await usableBinaries(packageDir, tempDir, account)).binDir.startsWith(tempDir)).toBe(true);
      await chmod(packageDir, 0o755);
    });

    test('not executable: a copy is', async () => {
      await chmod(join(packageDir, 'native/bin/postgres'), 0o644);
      expect((await usableBinaries(packageDir, tempDir, account)).binDir.startsWith(tempDir)).toBe(true);
      await chmod(join(packageDir, 'native/bin/postgres'), 0o755);
    });
  });

  test('that are broken: the error says so', async () => {
    const broken = join(folder, 'broken');
    await mkdir(broken);
    await writeFile(join(broken, 'initdb'), 'nothing');
    await expect(startPostgres({ binDir: broken })).rejects.toThrow(`binaries in ${broken} do not run`);
  });
});
