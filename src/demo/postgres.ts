import { execFile } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { appendFile, chown, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { binary, findBinaries, type Binaries } from './postgres-binaries.js';
import { spawnPostgres, type Guarded, type StopSignal } from './postgres-guardian.js';

export interface PostgresServer {
  readonly port: number;
  /** "18.4" */
  readonly version: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** With the superuser's name and password. The password is checked (scram), over TCP on 127.0.0.1. */
  url(database?: string): string;
  /** As `pg_ctl stop -m`: smart waits for clients, fast rolls back and drops them, immediate is a crash. */
  stop(mode: 'fast' | 'immediate' | 'smart'): Promise<void>;
  /** Again, on the same port with the same data. */
  start(): Promise<void>;
  /** Stops at once and removes everything. */
  dispose(): Promise<void>;
}

export interface PostgresOptions {
  /** Lines of postgresql.conf; they go over the defaults below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The bin folder of another PostgreSQL, instead of the embedded one. */
  readonly binDir?: string;
  /** Aborts the start; later: disposes of the server. */
  readonly signal?: AbortSignal;
}

const DEFAULTS = {
  wal_level: 'logical',
  max_wal_senders: '50',
  max_replication_slots: '50',
  max_connections: '200',
  fsync: 'off',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
};
const SIGNALS = { fast: 'INT', immediate: 'QUIT', smart: 'TERM' } as const satisfies Record<string, StopSignal>;
const START_DEADLINE_MS = 60_000;
const POLL_MS = 15;
const PORT_ATTEMPTS = 5;
const TAKEN = /could not create any TCP\/IP sockets/;
const run = promisify(execFile);

/** A fresh PostgreSQL in a temporary folder. It ends with this process at the latest, however that ends. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { signal } = options;
  signal?.throwIfAborted();
  const binaries = await findBinaries(options.binDir);
  const folder = await mkdtemp(join(binaries.tempDir, 'slackchat-bridge-pg-'));
  const server = new EmbeddedServer(binaries, folder, signal);
  try {
    await server.create({ ...DEFAULTS, ...options.settings });
    await server.startSomewhere();
  } catch (error) {
    await server.dispose();
    throw error;
  }
  signal?.addEventListener(
    'abort',
    () => {
      server.dispose().catch(() => undefined);
    },
    { once: true },
  );
  return server;
}

class EmbeddedServer implements PostgresServer {
  readonly version: string;
  readonly dataDir: string;
  readonly logFile: string;
  port = 0;
  private readonly password = randomBytes(16).toString('hex');
  private process: Guarded | undefined;
  private readonly binaries: Binaries;
  private readonly folder: string;
  private readonly signal: AbortSignal | undefined;

  constructor(binaries: Binaries, folder: string, signal: AbortSignal | undefined) {
    this.binaries = binaries;
    this.folder = folder;
    this.signal = signal;
    this.version = binaries.version;
    this.dataDir = join(folder, 'data');
    this.logFile = join(folder, 'server.log');
  }

  url(database = 'postgres'): string {
    return `postgres://postgres:${this.password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  async create(settings: Readonly<Record<string, string>>): Promise<void> {
    const { account, binDir } = this.binaries;
    const passwordFile = join(this.folder, 'password');
    await writeFile(passwordFile, this.password, { mode: 0o600 });
    if (account !== undefined) for (const path of [this.folder, passwordFile]) await chown(path, account.uid, account.gid);
    const args = [
      '-D',
      this.dataDir,
      '-U',
      'postgres',
      '-E',
      'UTF8',
      '--locale=C',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--no-sync',
      '--no-instructions',
    ];
    await run(binary(binDir, 'initdb'), args, { cwd: this.folder, ...account, ...(this.signal && { signal: this.signal }) });
    await rm(passwordFile);
    // In the file, not on the command line, so that ALTER SYSTEM can change them.
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`);
    await appendFile(join(this.dataDir, 'postgresql.conf'), `\n${lines.join('')}`);
  }

  async startSomewhere(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      this.port = await freePort();
      try {
        await this.start();
        return;
      } catch (error) {
        // Someone took the port between our look and the server's bind.
        if (attempt === PORT_ATTEMPTS || !(error instanceof Error && TAKEN.test(error.message))) throw error;
      }
    }
  }

  async start(): Promise<void> {
    if (this.process?.running === true) return;
    const logStart = await stat(this.logFile).then(
      (found) => found.size,
      () => 0,
    );
    const { binaries, logFile, folder } = this;
    this.process = spawnPostgres({ binaries, logFile, folder, args: ['-D', this.dataDir, '-p', String(this.port)] });
    const deadline = Date.now() + START_DEADLINE_MS;
    while (!(await this.answers())) {
      this.signal?.throwIfAborted();
      const late = Date.now() > deadline;
      if (late) await this.stop('immediate');
      if (!this.process.running) {
        throw new Error(
          `PostgreSQL ${this.version} did not start${late ? ` within ${START_DEADLINE_MS / 1000} s` : ''}. Its log ends with:\n${await tail(logFile, logStart)}`,
        );
      }
      await sleep(POLL_MS);
    }
  }

  async stop(mode: 'fast' | 'immediate' | 'smart'): Promise<void> {
    if (this.process?.running !== true) return;
    this.process.signal(SIGNALS[mode]);
    await this.process.exited();
  }

  async dispose(): Promise<void> {
    await this.stop('immediate');
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The password is ours alone, so a stranger's server on the port does not pass for this one. */
  private async answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.url(), ssl: false, connectionTimeoutMillis: 5000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Below the ranges that systems take outgoing ports from, so that the port is still free when the server starts again. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(20_000, 32_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => {
      probe.close(resolve);
    });
    return port;
  }
  throw new Error('Found no free TCP port on 127.0.0.1');
}

/** The last lines that were written after `from`. */
async function tail(path: string, from: number): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const start = Math.max(from, size - 4096);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer.toString('utf8', 0, bytesRead).trimEnd();
  } finally {
    await file.close();
  }
}
