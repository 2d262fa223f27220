import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { binary, type Binaries } from './postgres-binaries.js';

export type StopSignal = 'INT' | 'QUIT' | 'TERM';

/** A running server that cannot outlive this process. */
export interface Guarded {
  readonly running: boolean;
  signal(name: StopSignal): void;
  /** Resolves when the server has ended. Keeps this process alive meanwhile; a server alone does not. */
  exited(): Promise<void>;
}

/**
 * The server's parent is a shell that holds the other end of a pipe from this process. A line on the pipe is a signal to
 * pass on. When the pipe closes, because this process ended in whatever way, SIGKILL included, the server is told to quit
 * and its folder ($1) is removed. A shell needs no process id from us, so no stranger's process is ever hit.
 */
const GUARDIAN = `
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(
  while read -r signal; do kill -s "$signal" "$server"; done
  trap '' TERM
  while kill -s QUIT "$server"; do sleep 0.1 || sleep 1; done
  rm -rf "$folder"
) <&3 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
`;

export interface GuardedOptions {
  readonly binaries: Binaries;
  readonly args: readonly string[];
  readonly logFile: string;
  /** Removed when this process ends without having stopped the server. */
  readonly folder: string;
}

export function spawnPostgres(options: GuardedOptions): Guarded {
  const log = openSync(options.logFile, 'a');
  try {
    return process.platform === 'win32' ? onWindows(options, log) : onUnix(options, log);
  } finally {
    closeSync(log);
  }
}

function onUnix({ binaries, args, folder }: GuardedOptions, log: number): Guarded {
  const command = [binary(binaries.binDir, 'postgres'), ...args];
  // Detached: Ctrl-C in a terminal reaches this process only, which then decides how the server stops.
  const child = spawn('/bin/sh', ['-c', GUARDIAN, 'postgres-guardian', folder, ...command], {
    cwd: folder,
    detached: true,
    stdio: ['pipe', log, log],
    ...binaries.account,
  });
  child.stdin?.on('error', () => undefined);
  if (child.stdin instanceof Socket) child.stdin.unref();
  return guard(child, (name) => child.stdin?.write(`${name}\n`));
}

/** No shell and no signals there: pg_ctl knows how to ask. A killed parent leaves the server behind. */
function onWindows({ binaries, args, folder }: GuardedOptions, log: number): Guarded {
  const child = spawn(binary(binaries.binDir, 'postgres'), args, { cwd: folder, stdio: ['ignore', log, log], windowsHide: true });
  const onExit = (): void => {
    child.kill();
  };
  process.once('exit', onExit);
  child.once('exit', () => process.off('exit', onExit));
  return guard(child, (name) => execFile(binary(binaries.binDir, 'pg_ctl'), ['kill', name, String(child.pid)]));
}

function guard(child: ChildProcess, signal: (name: StopSignal) => void): Guarded {
  const state = { running: true };
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      state.running = false;
      resolve();
    };
    child.once('exit', end);
    child.once('error', end);
  });
  child.unref();
  return {
    get running() {
      return state.running;
    },
    signal,
    async exited() {
      child.ref();
      await ended;
    },
  };
}
