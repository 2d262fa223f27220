import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MAIN = join(import.meta.dirname, '../dist/main.js');
/** What the machine needs to run a process; settings of a bridge in the user's own shell stay out. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LD_LIBRARY_PATH'];
const TAIL_LINES = 400;
/** Beyond SHUTDOWN_TIMEOUT_MS there is only the end of its sessions; on a busy machine. */
export const STOP_MS = 20_000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** `slackchat-bridge run --setup`: one process. */
export class Bridge {
  readonly number: number;
  readonly startedAt = Date.now();
  readonly ended: Promise<void>;
  /** its newest lines */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiters = new Set<{ readonly text: string; readonly done: (found: boolean) => void }>();
  /** a signal that ends it was sent */
  #stopping = false;
  #rest = '';
  code: number | null = null;
  alive = true;
  /** it did not end when it was asked to */
  hung = false;

  constructor(number: number, settings: Readonly<Record<string, string>>, log: WriteStream, onSurprise: (bridge: Bridge) => void) {
    this.number = number;
    const inherited = Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
    this.#child = spawn(process.execPath, [MAIN, 'run', '--setup'], { env: { ...inherited, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        log.write(chunk.replaceAll(/^(?=.)/gmu, `[${number}] `));
        this.#read(chunk);
      });
    }
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        running.delete(this.#child);
        this.code = code;
        this.alive = false;
        for (const waiter of this.#waiters) waiter.done(false);
        if (!this.#stopping || (code !== null && code !== 0)) onSurprise(this);
        resolve();
      });
    });
  }

  kill(): void {
    this.#stopping = true;
    this.#child.kill('SIGKILL');
  }

  terminate(): void {
    this.#stopping = true;
    this.#child.kill('SIGTERM');
  }

  /** SIGTERM. @returns whether it ended in time; killed otherwise */
  async stop(timeoutMs: number): Promise<boolean> {
    this.terminate();
    await Promise.race([this.ended, sleep(timeoutMs, undefined, { ref: false })]);
    if (!this.alive) return true;
    this.hung = true;
    this.kill();
    await this.ended;
    return false;
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** A line with this text is written from now on. @returns false when it ends, or the time is over, before */
  async says(text: string, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (result: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(result);
      };
      const waiter = { text, done };
      const timer = setTimeout(() => done(false), timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  #read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    this.lines.push(...lines);
    this.lines.splice(0, this.lines.length - TAIL_LINES);
    for (const waiter of this.#waiters) if (lines.some((line) => line.includes(waiter.text))) waiter.done(true);
  }
}

/** All processes of the run, one after another and sometimes two at once. */
export class Bridges {
  readonly all: Bridge[] = [];
  /** ended although nobody asked, or with a status that is not 0 */
  readonly surprises: Bridge[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #log: WriteStream;

  constructor(settings: Readonly<Record<string, string>>, logFile: string) {
    this.#settings = settings;
    this.#log = createWriteStream(logFile);
  }

  get alive(): readonly Bridge[] {
    return this.all.filter((bridge) => bridge.alive);
  }

  start(): Bridge {
    const bridge = new Bridge(this.all.length + 1, this.#settings, this.#log, (ended) => this.surprises.push(ended));
    this.all.push(bridge);
    return bridge;
  }

  close(): void {
    for (const bridge of this.alive) bridge.kill();
    this.#log.end();
  }
}
