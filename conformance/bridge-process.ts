import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');
const MAIN = join(ROOT, 'dist/main.js');
/** What the machine needs to run a process; settings of a bridge in the user's own shell stay out. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LD_LIBRARY_PATH'];
const READY_MS = 30_000;

const status = z.looseObject({ endpoints: z.array(z.looseObject({ verifying: z.boolean() })) });

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** @throws when it does not build */
export async function buildIfStale(): Promise<boolean> {
  const built = await stat(MAIN).then(({ mtimeMs }) => mtimeMs, () => 0);
  const sources = (await readdir(join(ROOT, 'src'), { recursive: true })).map((path) => join('src', path));
  const times = await Promise.all([...sources, 'tsconfig.build.json', 'package.json'].map(async (path) => (await stat(join(ROOT, path))).mtimeMs));
  if (built > Math.max(...times)) return false;
  await promisify(execFile)('npm', ['run', 'build'], { cwd: ROOT, shell: process.platform === 'win32' });
  return true;
}

/** `slackchat-bridge run --setup`, the program that runs in production. */
export class BridgeProcess {
  readonly #child: ChildProcess;
  readonly #tail: string[] = [];
  readonly #exited: Promise<void>;
  #port: number | null = null;
  #ended = false;

  constructor(settings: Readonly<Record<string, string>>) {
    const inherited = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
    const child = spawn(process.execPath, [MAIN, 'run', '--setup'], { env: { ...inherited, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    running.add(child);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => this.#read(chunk));
    this.#exited = new Promise((resolve) => {
      child.once('close', () => {
        running.delete(child);
        this.#ended = true;
        resolve();
      });
    });
  }

  /** The last lines of its output. */
  get tail(): string {
    return this.#tail.join('').split('\n').slice(-12).join('\n');
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Until it streams. */
  async ready(): Promise<void> {
    for (const deadline = Date.now() + READY_MS; Date.now() < deadline && !this.#ended; await delay(20)) {
      if (this.#port === null) continue;
      const answer = await fetch(`http://127.0.0.1:${this.#port}/readyz`).catch(() => null);
      await answer?.arrayBuffer();
      if (answer?.ok === true) return;
    }
    throw new Error(`the bridge did not come up. Its output ends with:\n${this.tail}`);
  }

  /** An endpoint is being challenged. */
  async verifying(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.#port ?? 0}/api/status`);
    return status.parse(await answer.json()).endpoints.some(({ verifying }) => verifying);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 15_000);
    await this.#exited;
    clearTimeout(late);
  }

  #read(chunk: string): void {
    this.#tail.push(chunk);
    if (this.#tail.length > 100) this.#tail.shift();
    this.#port ??= Number(/"port":(\d+)[^\n]*"msg":"admin listening"/u.exec(this.#tail.join(''))?.[1] ?? Number.NaN) || null;
  }
}
