import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createDatabase } from '../support/database.js';
import { bridgeEnv } from '../support/process.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const Packed = z.array(z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })).length(1);
const Lock = z.object({ packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), optional: z.boolean().optional() })) });

/** The package as `npm install` would lay it into an empty folder, with nothing but its production dependencies. @returns the folder */
async function install(tarball: string, folder: string): Promise<void> {
  const modules = join(folder, 'node_modules');
  const home = join(modules, 'slackchat-bridge');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1']);
  const { packages } = Lock.parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
  for (const [path, { dev = false, optional = false }] of Object.entries(packages)) {
    if (dev || optional || !/^node_modules\/(@[^/]+\/)?[^/]+$/u.test(path)) continue;
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await symlink(join(root, path), join(folder, path));
  }
  await mkdir(join(modules, '.bin'));
  await symlink('../slackchat-bridge/dist/main.js', join(modules, '.bin/slackchat-bridge'));
}

test('the package holds what it should, and its command works where it is installed', async () => {
  expect(inject('buildError')).toBe('');
  const folder = await mkdtemp(join(tmpdir(), 'slackchat-bridge-package-'));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  // Without its scripts: they would build anew what other tests are running.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: root, maxBuffer: 16 * 1024 * 1024 });
  const [packed] = Packed.parse(JSON.parse(stdout));
  const paths = packed?.files.map(({ path }) => path) ?? [];
  for (const path of ['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/main.js', 'dist/main.d.ts', 'sql/slackchat.sql', 'sql/functions/control.sql', 'docs/quick-start.md', 'deploy/kubernetes.yaml']) expect(paths).toContain(path);
  expect(paths.filter((path) => !/^(package\.json|[A-Z]+(\.md)?|(dist|sql|docs|deploy|examples)\/.+\.(js|mjs|d\.ts|py|html|css|svg|sql|md|png|yml|yaml|json|service))$/u.test(path))).toEqual([]);

  await install(join(folder, packed?.filename ?? ''), folder);
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  const command = async (...args: readonly string[]): Promise<string> => {
    const env = { PATH: process.env['PATH'] ?? '', ...bridgeEnv(db) };
    return (await run(join(folder, 'node_modules/.bin/slackchat-bridge'), [...args], { cwd: folder, env })).stdout;
  };
  const { stdout: imported } = await run(process.execPath, ['--input-type=module', '-e', "import { handler } from 'slackchat-bridge/receiver'; console.log(typeof handler)"], { cwd: folder });
  expect(imported).toBe('function\n');
  expect(await command('--help')).toMatch(/^Usage: slackchat-bridge /u);
  expect(await command('setup', '--print')).toContain('CREATE SCHEMA');
  await command('setup');
  expect(await command('setup')).toBe('nothing to do: the database is set up\n');
  // An installation from which files are missing is not taken for a database that cannot be reached.
  await rm(join(folder, 'node_modules/slackchat-bridge/sql/migrations'), { recursive: true });
  const said = expect.stringMatching(/the installation is not whole: .*migrations/u) as string;
  for (const name of ['run', 'setup']) await expect(command(name)).rejects.toMatchObject({ code: 1, stderr: said });
  await expect(command('doctor')).rejects.toMatchObject({ code: 1, stdout: said });
}, 120_000);
