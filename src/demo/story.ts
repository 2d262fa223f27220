import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { BridgeError } from '../errors.js';
import { Statements } from './chat.js';
import { check, faultsOf, type Body, type Delivery, type Expected, type Verdict } from './expectations.js';
import type { Receiver } from './receiver.js';
import type { Screen } from './screen.js';

/** A transaction that was committed, and what must come of it. */
export interface Step {
  readonly what: string;
  readonly expected: readonly Expected[];
  /** performance.now() when the COMMIT had returned */
  readonly committedAt: number;
}

const PATIENCE_MS = 15_000;

/** Something did not come, or came that must not: the story ends here, and the summary says what it was. */
export class StoryBroken extends BridgeError {}

/** Commits, knows what must arrive because of it, waits for that, and shows both side by side. */
export class Story {
  readonly screen: Screen;
  readonly receiver: Receiver;
  readonly #pool: Pool;
  readonly #signal: AbortSignal;
  readonly #expected: Expected[] = [];
  /** of deliveries that nothing disturbed, milliseconds */
  readonly #latencies: number[] = [];
  #commits = 0;

  constructor(pool: Pool, receiver: Receiver, screen: Screen, signal: AbortSignal) {
    this.#pool = pool;
    this.receiver = receiver;
    this.screen = screen;
    this.#signal = signal;
  }

  get commits(): number {
    return this.#commits;
  }

  get latencies(): readonly number[] {
    return this.#latencies;
  }

  get expectedCount(): number {
    return this.#expected.length;
  }

  verdict(): Verdict {
    return check(this.#expected, this.receiver.arrivals);
  }

  /** What must arrive is written down before the COMMIT: the delivery can be faster than the COMMIT's answer. */
  async commit(what: string, bodies: readonly Body[], work: (sql: Statements) => Promise<void>): Promise<Step> {
    const expected = bodies.map((body) => ({ step: what, body }));
    const committedAt = await this.#transaction('COMMIT', work, () => this.#expected.push(...expected));
    this.#commits += 1;
    return { what, expected, committedAt };
  }

  /** One transaction and, when all that must come of it has come, its lines. */
  async step(what: string, bodies: readonly Body[], work: (sql: Statements) => Promise<void>): Promise<void> {
    const step = await this.commit(what, bodies, work);
    await this.arrived([step]);
    this.show(step, true);
  }

  /** A transaction of which nothing may come. That is proven by what comes of the `next` one, and by the final check. */
  async silence(end: 'COMMIT' | 'ROLLBACK', what: string, work: (sql: Statements) => Promise<void>, next: () => Promise<Step>): Promise<void> {
    await this.#transaction(end, work, () => undefined);
    if (end === 'COMMIT') this.#commits += 1;
    const step = await next();
    await this.arrived([step]);
    this.screen.beside(end === 'COMMIT' ? 'commit' : 'rollback', what, 'nothing, as it must be', '');
    this.show(step, true);
  }

  /** @throws {StoryBroken} when something is missing after some seconds, or as soon as something is wrong */
  async arrived(steps: readonly Step[]): Promise<void> {
    const done = (verdict: Verdict): boolean => steps.every(({ expected }) => expected.every((one) => verdict.delivered.get(one)?.accepted !== undefined));
    const settled = (): boolean => {
      const verdict = this.verdict();
      return wrong(verdict) || done(verdict);
    };
    await this.until(`waiting for ${steps.at(-1)?.what ?? 'deliveries'}`, settled);
    const verdict = this.verdict();
    if (wrong(verdict) || !done(verdict)) throw new StoryBroken('the deliveries are not what they must be');
  }

  /** @returns false when the time is up */
  async until(what: string, condition: () => boolean): Promise<boolean> {
    this.screen.waiting(what);
    const came = await this.receiver.watch.until(condition, PATIENCE_MS, this.#signal);
    this.screen.waiting(null);
    return came;
  }

  /** A database announces nothing by itself: it is asked until it says `wanted`. */
  async untilRow(what: string, sql: string, wanted: string): Promise<void> {
    this.screen.waiting(what);
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const { rows } = await this.#pool.query<{ value: string }>(sql);
      const value = String(rows[0]?.value);
      if (value === wanted) break;
      if (performance.now() > deadline) throw new StoryBroken(`${what}: the database says ${value} instead of ${wanted}`);
      await sleep(10, undefined, { signal: this.#signal });
    }
    this.screen.waiting(null);
  }

  /** @param calm nothing disturbed it: its latency counts */
  show(step: Step, calm: boolean): void {
    const { delivered } = this.verdict();
    if (step.expected.length === 0) this.screen.beside('commit', step.what, 'waits for the next', '');
    for (const [at, one] of step.expected.entries()) {
      const delivery = delivered.get(one);
      if (delivery?.accepted === undefined) continue;
      // The request can be here before the answer to the COMMIT has been read.
      const latency = Math.max(0, delivery.accepted.receivedAt - step.committedAt);
      if (calm) this.#latencies.push(latency);
      this.screen.beside(at === 0 ? 'commit' : '', at === 0 ? step.what : '', one.body.update_type, `${milliseconds(latency)}${historyOf(delivery)}`);
    }
  }

  async #transaction(end: 'COMMIT' | 'ROLLBACK', work: (sql: Statements) => Promise<void>, before: () => void): Promise<number> {
    this.#signal.throwIfAborted();
    const client = await this.#pool.connect();
    try {
      await client.query('BEGIN');
      await work(new Statements(client));
      before();
      await client.query(end);
      const endedAt = performance.now();
      client.release();
      return endedAt;
    } catch (error) {
      // Closed rather than given back: its transaction may be open.
      client.release(true);
      throw error;
    }
  }
}

/** More than not yet complete. */
const wrong = (verdict: Verdict): boolean => faultsOf({ ...verdict, missing: [] }).length > 0;

export const milliseconds = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`;

/** What a delivery went through, for its line. */
function historyOf({ arrivals, first, accepted }: Delivery): string {
  const refused = arrivals.filter(({ status }) => status >= 300).length;
  const parts = [
    ...(refused > 0 ? [`after ${refused} × ${first.status}`] : []),
    ...(accepted !== undefined && arrivals.some(({ run }) => run > first.run) ? ['again after the restart, same id'] : []),
  ];
  return parts.length === 0 ? '' : `  ${parts.join('; ')}`;
}
