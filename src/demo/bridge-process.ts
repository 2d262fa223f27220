import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { BridgeError } from '../errors.js';
import { Watch } from './watch.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const LIFELINE = new URL('lifeline.js', import.meta.url).href;
/** What a process needs from the machine. Settings of a bridge in the user's own shell stay out. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LD_LIBRARY_PATH'];
const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 15_000;

const logLine = z.looseObject({ msg: z.string() });
type LogLine = z.infer<typeof logLine>;
export type Settings = Readonly<Record<string, string>>;

function environment(settings: Settings): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
  return { ...inherited, ...settings };
}

/** `slackchat-bridge setup`, as a user runs it. @returns what it printed, by line */
export async function runSetup(settings: Settings, signal: AbortSignal): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'setup'], { env: environment(settings), signal });
  return stdout.split('\n').filter((line) => line !== '');
}

/** `slackchat-bridge run`, the same program that runs in production. */
export class BridgeProcess {
  readonly #child: ChildProcess;
  readonly #watch = new Watch();
  readonly #log: LogLine[] = [];
  readonly #tail: string[] = [];
  readonly #exited: Promise<number | null>;
  #ended = false;
  #wanted = false;

  /** @param onDeath called when it ends although nobody asked for that */
  constructor(settings: Settings, onDeath: (reason: BridgeError) => void) {
    // Detached: Ctrl-C in a terminal reaches the demo only, which then ends the bridge in its turn.
    const detached = process.platform !== 'win32';
    const child = spawn(process.execPath, ['--import', LIFELINE, MAIN, 'run'], { env: environment(settings), detached, windowsHide: true });
    this.#child = child;
    // 'close', not 'exit': all of the output is there.
    this.#exited = new Promise((resolve) => {
      child.once('close', (code) => resolve(code));
      child.once('error', (error) => {
        this.#remember(String(error));
        resolve(null);
      });
    });
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stderr }).on('line', (line) => this.#remember(line));
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line));
    this.#exited
      .then((code) => {
        this.#ended = true;
        this.#watch.notify();
        if (!this.#wanted) onDeath(new BridgeError(`the bridge ended by itself (exit status ${String(code)}). Its output ends with:\n${this.tail}`));
      })
      .catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last lines of its output. */
  get tail(): string {
    return this.#tail.map((line) => `  ${line}`).join('\n');
  }

  /** @throws {BridgeError} when the line does not come */
  async log(msg: string, signal: AbortSignal): Promise<LogLine> {
    const find = (): LogLine | undefined => this.#log.find((line) => line.msg === msg);
    await this.#watch.until(() => this.#ended || find() !== undefined, START_DEADLINE_MS, signal);
    const found = find();
    if (found === undefined) throw new BridgeError(`the bridge did not say "${msg}" in time. Its output ends with:\n${this.tail}`);
    return found;
  }

  /** kill -9: no chance to finish anything. */
  async kill(): Promise<void> {
    this.#wanted = true;
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM: it delivers or parks what it has and confirms it. @returns its exit status */
  async stop(): Promise<number | null> {
    this.#wanted = true;
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    const code = await this.#exited;
    clearTimeout(late);
    return code;
  }

  #read(text: string): void {
    this.#remember(text);
    try {
      const line = logLine.safeParse(JSON.parse(text));
      if (line.success) this.#log.push(line.data);
    } catch {
      // No line of its log; it stands in the tail.
    }
    this.#watch.notify();
  }

  #remember(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > 15) this.#tail.shift();
  }
}
