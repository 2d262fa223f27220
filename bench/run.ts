import { Child } from './child.js';
import type { BenchDatabase } from './stage.js';

/** How each is started: its script, and what it is told. */
const CONTENDERS = {
  bare: { script: 'bare', env: {} },
  contract: { script: 'bare', env: { CONTRACT: 'true', CONNECTIONS: '64' } },
  visible: { script: 'bare', env: { VISIBLE: 'true' } },
  naive: { script: 'naive', env: {} },
  outbox: { script: 'outbox', env: {} },
} as const;
export type Contender = keyof typeof CONTENDERS | 'ours';

export interface ReceiverResult {
  /** from the first request to the last */
  readonly ms: number;
  readonly arrivals: readonly number[];
}

export interface ExpectOptions {
  /** so long it takes to answer */
  readonly delayMs?: number;
  /** notes when each came */
  readonly note?: boolean;
  /** the first that is measured */
  readonly from?: number;
}

/** The receiver's process, from here. */
export class Receiver {
  readonly #child = new Child('bench/receiver.ts');
  port = 0;

  async open(): Promise<void> {
    this.port = Number(await this.#child.next('port'));
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** Forgets what came, and tells when the first and when the last of `expect` has come. */
  async expect(expect: number, options: ExpectOptions = {}): Promise<{ first: Promise<unknown>; done: Promise<ReceiverResult> }> {
    const ready = this.#child.next('ready');
    this.#child.send({ expect, from: options.from ?? 1, delayMs: options.delayMs ?? 0, note: options.note ?? false });
    await ready;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the receiver's own words
    const result = { first: this.#child.next('first'), done: this.#child.next('done') as Promise<ReceiverResult> };
    // Whoever waits for them sees a fault; nobody may.
    for (const promise of Object.values(result)) promise.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    await this.#child.stop();
  }
}

export interface StartOptions {
  readonly contender: Contender;
  readonly database: BenchDatabase;
  readonly slot: string;
  readonly endpoint: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly profileDir?: string | undefined;
  readonly plain?: boolean;
}

export function startContender({ contender, database, slot, endpoint, env = {}, profileDir, plain = false }: StartOptions): Child {
  if (contender === 'ours') return new Child('dist/main.js', { args: ['run'], env: { ...database.environment(slot), ...env }, profileDir, plain });
  const { script, env: own } = CONTENDERS[contender];
  return new Child(`bench/contenders/${script}.ts`, { env: { ...own, URL: database.url, SLOT: slot, PUBLICATION: database.publication, ENDPOINT: endpoint, ...env } });
}

export interface Drained {
  readonly 'events/s': number;
  readonly 'CPU µs/event': number;
  readonly 'of it system': number;
  readonly 'peak RSS MB': number;
}

/** Starts the contender on what waits in its slot (or its jobs), and ends it when all of it has come. */
export async function drain(receiver: Receiver, options: StartOptions, expect: number, expectations: ExpectOptions = {}): Promise<Drained> {
  const { first, done } = await receiver.expect(expect, expectations);
  const events = expect - (expectations.from ?? 1) + 1;
  const child = startContender(options);
  await unlessEnded(child, first);
  const before = await child.usage();
  const { ms } = await unlessEnded(child, done);
  const after = await child.usage();
  await child.stop(options.profileDir === undefined ? 'SIGKILL' : 'SIGTERM');
  return { 'events/s': (events / ms) * 1000, 'CPU µs/event': ((after.cpuMs - before.cpuMs) / events) * 1000, 'of it system': ((after.systemMs - before.systemMs) / events) * 1000, 'peak RSS MB': after.peakMb };
}

/** Gives `use` a slot of its own. */
export async function withSlot<T>(database: BenchDatabase, use: (slot: string) => Promise<T>): Promise<T> {
  const slot = await database.slot();
  try {
    return await use(slot);
  } finally {
    await database.dropSlot(slot);
  }
}

export async function unlessEnded<T>(child: Child, promise: Promise<T>): Promise<T> {
  return Promise.race([promise, child.exited.then(() => Promise.reject(new Error('what is measured has ended by itself')))]);
}
