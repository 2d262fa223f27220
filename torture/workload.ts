import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { deeds, type DeedName, type World } from './deeds.js';
import type { Random } from './random.js';

export interface Attempted {
  readonly ledgerId: number;
  readonly deed: DeedName;
  /** unknown: the connection broke during COMMIT; the ledger's row says what became of it */
  readonly outcome: 'committed' | 'rolled back' | 'unknown';
}

export interface WorkloadOptions {
  readonly url: string;
  readonly sessions: number;
  readonly random: Random;
  readonly world: World;
  readonly weights: Readonly<Record<DeedName, number>>;
  /** between two transactions of a session, at the most */
  readonly pauseMs: number;
}

/** Sessions that write to the chat at once, each transaction with a row of its own in a ledger. */
export class Workload {
  readonly attempted: Attempted[] = [];
  readonly #options: WorkloadOptions;
  readonly #stop = new AbortController();
  #ledger = 0;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = Promise.all(Array.from({ length: this.#options.sessions }, (_item, number) => this.#session(this.#options.random.fork(`session ${number}`))));
    // Awaited in stop().
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #session(random: Random): Promise<void> {
    let client: Client | null = null;
    while (!this.#stop.signal.aborted) {
      client ??= await this.#connect();
      if (client === null) {
        await sleep(100);
        continue;
      }
      const attempted = await this.#transaction(client, random);
      this.attempted.push(attempted.entry);
      if (attempted.broken) {
        client.end().catch(() => undefined);
        client = null;
      }
      await sleep(random.integer(0, this.#options.pauseMs));
    }
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<Client | null> {
    const client = new Client({ connectionString: this.#options.url, ssl: false, options: '-c lock_timeout=3s -c statement_timeout=20s', connectionTimeoutMillis: 3_000 });
    client.on('error', () => undefined);
    return client.connect().then(
      () => client,
      () => null,
    );
  }

  async #transaction(client: Client, random: Random): Promise<{ readonly entry: Attempted; readonly broken: boolean }> {
    const deed = random.weighted(this.#options.weights);
    const ledgerId = (this.#ledger += 1);
    const { world } = this.#options;
    const told: number[] = [];
    let step: 'work' | 'commit' = 'work';
    try {
      await client.query('BEGIN');
      await client.query('INSERT INTO torture.ledger (id, deed) VALUES ($1, $2)', [ledgerId, deed]);
      await deeds[deed]({ client, random, world, added: (id) => told.push(id) });
      if (deed === 'undone' || random.chance(0.03)) {
        await client.query('ROLLBACK');
        return { entry: { ledgerId, deed, outcome: 'rolled back' }, broken: false };
      }
      step = 'commit';
      await client.query('COMMIT');
      for (const id of told) world.remember(id);
      return { entry: { ledgerId, deed, outcome: 'committed' }, broken: false };
    } catch (error) {
      const refused = error instanceof DatabaseError && error.severity !== 'FATAL' && error.severity !== 'PANIC';
      if (refused && step === 'work') {
        const broken = await client.query('ROLLBACK').then(() => false, () => true);
        return { entry: { ledgerId, deed, outcome: 'rolled back' }, broken };
      }
      // An error of COMMIT itself (a deferred constraint) is a rollback; a connection that breaks during it says nothing.
      const outcome = step === 'work' || refused ? 'rolled back' : 'unknown';
      return { entry: { ledgerId, deed, outcome }, broken: true };
    }
  }
}
