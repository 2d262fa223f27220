import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, onTestFailed, onTestFinished, test } from 'vitest';
import { createDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { listenOnFreePort } from '../support/port.js';
import { waitVerified } from '../support/scene.js';

const root = join(import.meta.dirname, '../..');
const STATUS = /^exit status (\d+)$/gmu;

/** A shell that commands are typed into. */
class Terminal {
  readonly #shell;
  output = '';
  #typed = 0;

  constructor(env: NodeJS.ProcessEnv) {
    this.#shell = spawn('bash', ['--noprofile', '--norc'], { cwd: root, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  /** @returns once the command has ended: its status and what it printed */
  async type(command: string): Promise<{ readonly status: number; readonly printed: string }> {
    const before = this.output.length;
    const place = this.#typed;
    this.#typed += 1;
    this.#shell.stdin.write(`${command}\necho "exit status $?"\n`);
    const status = await eventually(() => {
      const ended = [...this.output.matchAll(STATUS)][place];
      if (ended === undefined) throw new Error(`"${command}" has not ended:\n${this.output}`);
      return Number(ended[1]);
    }, { timeoutMs: 90_000 });
    return { status, printed: this.output.slice(before) };
  }

  async shows(text: string): Promise<void> {
    await eventually(() => expect(this.output).toContain(text), { timeoutMs: 90_000 });
  }

  /** Ctrl-C: to all that the shell runs in the foreground. */
  async interrupt(): Promise<void> {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,pgid=']);
    for (const [, pid = '', group = ''] of stdout.matchAll(/^\s*(\d+)\s+(\d+)\s*$/gmu)) {
      if (Number(group) === this.#shell.pid && pid !== group) process.kill(Number(pid), 'SIGINT');
    }
  }

  async close(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.pid === undefined) return;
    const ended = once(this.#shell, 'close');
    process.kill(-this.#shell.pid, 'SIGKILL');
    await ended;
  }
}

/** The commands of a page, each with the terminal that it is for. */
function commandsOf(page: string): { readonly terminal: number; readonly command: string }[] {
  return [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gmu)].flatMap(([, block = '']) => {
    const terminal = Number(/^# terminal (\d)$/mu.exec(block)?.[1] ?? 0);
    return block.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((command) => ({ terminal, command }));
  });
}

/** The tests need nothing but Node: what the page uses of psql, `psql <url> -c <statement>`. */
const PSQL = `#!/usr/bin/env node
const [url, , statement] = process.argv.slice(2);
const client = new (require(${JSON.stringify(join(root, 'node_modules/pg'))}).Client)({ connectionString: url });
client.connect().then(() => client.query(statement)).then(() => client.end());
`;

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnFreePort(server);
  server.close();
  return port;
}

test('the commands of docs/quick-start.md do what the page says', async () => {
  expect(inject('buildError')).toBe('');
  const db = await createDatabase();
  onTestFinished(async () => db.drop());
  await db.seedChat();
  const bin = await mkdtemp(join(tmpdir(), 'slackchat-bridge-quick-start-'));
  onTestFinished(async () => rm(bin, { recursive: true, force: true }));
  await writeFile(join(bin, 'psql'), PSQL);
  await chmod(join(bin, 'psql'), 0o755);
  // Without scripts: the first npx of a home folder would build the checkout anew, below the tests that run beside this one.
  const env = { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`, HOME: bin, npm_config_update_notifier: 'false', npm_config_ignore_scripts: 'true', SLOT_NAME: db.slotName, ADMIN_PORT: String(await freePort()) };
  const terminals = [1, 2, 3].map(() => new Terminal(env));
  onTestFinished(async () => void (await Promise.all(terminals.map(async (terminal) => terminal.close()))));
  onTestFailed(() => void process.stderr.write(terminals.map(({ output }, place) => `terminal ${place + 1}:\n${output.slice(-3_000)}\n`).join('')));
  const [bridge, receiver, third] = terminals as [Terminal, Terminal, Terminal];

  // What a reader puts in place of the page's own.
  const page = await readFile(join(root, 'docs/quick-start.md'), 'utf8');
  const port = String(await freePort());
  for (const given of ['postgres://user:password@localhost:5432/chat', '4800']) expect(page).toContain(given);
  const commands = commandsOf(page.replaceAll('postgres://user:password@localhost:5432/chat', db.url).replaceAll('4800', port));
  const next = (): string => commands.shift()?.command ?? '';
  const type = async (): Promise<string> => {
    const { terminal, command } = commands.shift() ?? { terminal: 0, command: '' };
    const { status, printed } = await (terminals[terminal - 1] as Terminal).type(command);
    expect({ command, status, printed }).toMatchObject({ command, status: 0 });
    return printed;
  };

  // What this checkout was made with.
  expect(next()).toBe('npm ci');
  await type();
  await type();
  expect(await type()).toContain('CREATE SCHEMA');
  expect(await db.query("SELECT 1 FROM pg_namespace WHERE nspname = 'slackchat_bridge'")).toEqual([]);
  expect(await type()).toContain('made: ');
  expect(await type()).toContain(' 0 failures');

  const run = next();
  const running = bridge.type(run);
  await bridge.shows('"msg":"streaming"');
  const listening = receiver.type(next());
  await receiver.shows('listening on');

  await type();
  await type();
  await receiver.shows('challenge answered');
  await waitVerified(db, '1');
  expect(await type()).toMatch(/127\.0\.0\.1:\d+\/ .*well/u);
  const write = commands[0]?.command ?? '';
  await type();
  await receiver.shows(': Hello  id=');

  // "Stop the bridge with Ctrl-C, write another message, and run it again: the message arrives."
  await bridge.interrupt();
  expect((await running).printed).toContain('"msg":"stopped"');
  await third.type(write.replace('Hello', 'Meanwhile'));
  const again = bridge.type(run);
  await receiver.shows(': Meanwhile  id=');
  await bridge.interrupt();
  expect((await again).printed).toContain('"msg":"stopped"');

  await type();
  expect(commands).toEqual([]);
  expect(await db.query('SELECT slot_name FROM pg_replication_slots WHERE slot_name = $1', [db.slotName])).toEqual([]);
  await receiver.interrupt();
  await listening;
  // A dozen commands, each of which starts npx, on a machine that may be busy.
}, 300_000);
