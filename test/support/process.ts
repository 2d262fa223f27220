import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject, onTestFailed, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { TestDatabase } from './database.js';

const LogLineSchema = z.looseObject({ level: z.string(), msg: z.string().default('') });
export type LogLine = z.infer<typeof LogLineSchema>;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface BridgeProcess {
  readonly pid: number;
  /** Every line of stdout that is one of pino's. */
  readonly logs: readonly LogLine[];
  /** All of stdout and stderr as it came. */
  readonly stdout: string;
  readonly stderr: string;
  readonly exited: Promise<Exit>;
  /** The first log line that fulfils the predicate, one that was written before included. Rejects when the process ends. */
  waitForLog(predicate: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** "http://127.0.0.1:12345", once it is announced. */
  adminUrl(): Promise<string>;
  /** Until /readyz answers 200. */
  waitReady(timeoutMs?: number): Promise<void>;
  kill(signal?: NodeJS.Signals): void;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

const main = join(import.meta.dirname, '../../dist/main.js');
/** What the machine needs to run a process; nothing that configures the bridge leaks in from the developer's shell. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'SystemRoot', 'LD_LIBRARY_PATH'];
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What a bridge of this database is started with: its own slot, a free admin port, the token `test-token`. */
export function bridgeEnv(database: Pick<TestDatabase, 'url' | 'slotName'>): Record<string, string> {
  return { DATABASE_URL: database.url, SLOT_NAME: database.slotName, WEBHOOK_VERIFICATION_TOKEN: 'test-token', ADMIN_PORT: '0' };
}

/** `slackchat-bridge <args>` as an own process, killed at the end of the test at the latest. */
export function startBridge(env: Readonly<Record<string, string>>, args: readonly string[] = ['run']): BridgeProcess {
  const buildError = inject('buildError');
  if (buildError !== '') throw new Error(buildError);
  const inherited = Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const child = spawn(process.execPath, [main, ...args], { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const logs: LogLine[] = [];
  const waiting = new Set<() => void>();
  const output = { stdout: '', stderr: '', ended: false };
  const exited = new Promise<Exit>((resolve) => {
    // 'close', not 'exit': all of the output is there.
    child.once('close', (code, signal) => {
      running.delete(child);
      output.ended = true;
      resolve({ code, signal });
      for (const check of waiting) check();
    });
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    output.stdout += `${text}\n`;
    const line = parse(text);
    if (line === undefined) return;
    logs.push(line);
    for (const check of waiting) check();
  });

  const bridge: BridgeProcess = {
    pid: child.pid ?? 0,
    logs,
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    exited,
    waitForLog: async (predicate, timeoutMs = 15_000) =>
      new Promise((resolve, reject) => {
        const settle = (outcome: () => void): void => {
          clearTimeout(timer);
          waiting.delete(check);
          outcome();
        };
        const fail = (why: string): void => settle(() => reject(new Error(`${why} before the awaited log line.${ending(output)}`)));
        const check = (): void => {
          const found = logs.find(predicate);
          if (found !== undefined) settle(() => resolve(found));
          else if (output.ended) fail('The bridge ended');
        };
        const timer = setTimeout(() => fail(`${timeoutMs} ms went by`), timeoutMs);
        waiting.add(check);
        check();
      }),
    async adminUrl() {
      const line = await bridge.waitForLog(({ msg }) => msg === 'admin listening');
      return `http://127.0.0.1:${String(line['port'])}`;
    },
    async waitReady(timeoutMs = 15_000) {
      const url = `${await bridge.adminUrl()}/readyz`;
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const answer = await fetch(url).then(
          async (response) => ({ ok: response.ok, text: await response.text() }),
          (error: unknown) => ({ ok: false, text: String(error) }),
        );
        if (answer.ok) return;
        if (output.ended || Date.now() > deadline) throw new Error(`The bridge is not ready: ${answer.text}.${ending(output)}`);
        await sleep(10);
      }
    },
    kill(signal = 'SIGTERM') {
      child.kill(signal);
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
  stopAtTestEnd(
    async () => bridge.stop('SIGKILL'),
    () => `A bridge of the failed test.${ending(output)}\n`,
  );
  return bridge;
}

/** What a command says on stderr when it takes longer than a second, as on a busy machine it may. */
const PROGRESS = /^.* … \d+ s\n/gmu;

/** A command that ends by itself. @returns what it wrote, without what it says of its progress */
export async function runCommand(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const bridge = startBridge(env, args);
  const { code } = await bridge.exited;
  return { code, stdout: bridge.stdout, stderr: bridge.stderr.replaceAll(PROGRESS, '') };
}

function stopAtTestEnd(stop: () => Promise<unknown>, describe: () => string): void {
  try {
    onTestFinished(async () => {
      await stop();
    });
    onTestFailed(() => {
      process.stderr.write(describe());
    });
  } catch {
    // Started in a hook, which has no test: the hook's counterpart stops it, or the end of this worker.
  }
}

function parse(text: string): LogLine | undefined {
  try {
    return LogLineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

const ending = ({ stdout, stderr }: { stdout: string; stderr: string }): string =>
  ` Its output ends with:\n${stdout.split('\n').slice(-15).join('\n')}${stderr.split('\n').slice(-15).join('\n')}`;
