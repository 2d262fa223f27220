import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');
/** What the machine needs to run a process; settings of a bridge in the user's own shell stay out. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LD_LIBRARY_PATH'];

/**
 * Loaded into every process that is measured: tells what it has cost so far, and does not keep the
 * process alive. JavaScript, so that the bridge is measured without a loader for TypeScript.
 */
const PROBE = `data:text/javascript,${encodeURIComponent(`
  process.on('message', (message) => {
    if (message !== 'usage') return;
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    process.send({ usage: { cpuMs: (userCPUTime + systemCPUTime) / 1000, systemMs: systemCPUTime / 1000, peakMb: maxRSS / 1024 } });
  });
  process.channel?.unref();`)}`;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Usage {
  readonly cpuMs: number;
  readonly systemMs: number;
  readonly peakMb: number;
}

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** writes a CPU profile into this folder when it ends */
  readonly profileDir?: string | undefined;
  /** as it is run in production: JavaScript only, and what it costs cannot be asked */
  readonly plain?: boolean;
}

/** A process of the benchmark's: messages both ways, and what it costs. */
export class Child {
  readonly #child: ChildProcess;
  readonly #listeners = new Set<(message: Readonly<Record<string, unknown>>) => void>();
  readonly exited: Promise<void>;

  /** @param script from the project's root; TypeScript or JavaScript */
  constructor(script: string, { args = [], env = {}, profileDir, plain = false }: ChildOptions = {}) {
    const inherited = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
    const profile = profileDir === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profileDir];
    const execArgv = plain ? [] : [...(script.endsWith('.ts') ? ['--import', 'tsx'] : []), '--import', PROBE, ...profile];
    const child = fork(join(ROOT, script), args, { cwd: ROOT, env: { ...inherited, ...env }, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child = child;
    running.add(child);
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        running.delete(child);
        resolve();
      });
    });
    child.on('message', (message) => {
      if (typeof message === 'object') for (const listener of this.#listeners) listener({ ...message });
    });
  }

  send(message: string | Readonly<Record<string, unknown>>): void {
    this.#child.send(message);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The next message that has this key: its value. Rejects when the process ends. */
  async next(key: string): Promise<unknown> {
    let listener: (message: Readonly<Record<string, unknown>>) => void = () => undefined;
    const came = new Promise<unknown>((resolve) => {
      listener = (message) => {
        if (key in message) resolve(message[key]);
      };
      this.#listeners.add(listener);
    });
    const ended = this.exited.then(() => {
      throw new Error(`a process of the benchmark ended before it said '${key}'`);
    });
    try {
      return await Promise.race([came, ended]);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  async usage(): Promise<Usage> {
    const answer = this.next('usage');
    this.send('usage');
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the probe's own words
    return (await answer) as Usage;
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.exited;
  }
}
