import { setTimeout as sleep } from 'node:timers/promises';
import { bridgeFaults } from './faults-bridge.js';
import { networkFaults, receiverFaults } from './faults-network.js';
import { serverFaults } from './faults-server.js';
import type { Random } from './random.js';
import type { Stage } from './stage.js';

/** @returns false when the moment that it waits for did not come */
export type Fault = (stage: Stage, random: Random) => Promise<boolean>;

/** A fault with how often it comes beside the others of its kind. */
export type Faults = Readonly<Record<string, readonly [weight: number, strike: Fault]>>;

export interface Struck {
  readonly name: string;
  /** milliseconds since 1970 */
  readonly from: number;
  to: number | null;
  outcome: 'struck' | 'missed' | 'broken off';
}

/** Faults of different kinds strike at once, those of one kind one after another. */
const KINDS: Readonly<Record<string, { readonly faults: Faults; readonly pauseMs: number }>> = {
  bridge: { faults: bridgeFaults, pauseMs: 3_000 },
  server: { faults: serverFaults, pauseMs: 4_000 },
  network: { faults: networkFaults, pauseMs: 3_000 },
  receiver: { faults: receiverFaults, pauseMs: 800 },
  'second receiver': { faults: receiverFaults, pauseMs: 1_500 },
};

export class Torturer {
  readonly struck: Struck[] = [];
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #only: RegExp | null;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  /** @param only faults with such names; null: all */
  constructor(stage: Stage, random: Random, only: RegExp | null) {
    this.#stage = stage;
    this.#random = random;
    this.#only = only;
  }

  start(): void {
    this.#running = Promise.all(Object.entries(KINDS).map(([kind, { faults, pauseMs }]) => this.#strike(faults, pauseMs, this.#random.fork(kind))));
    // Awaited in stop().
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #strike(faults: Faults, pauseMs: number, random: Random): Promise<void> {
    const weights = Object.fromEntries(Object.entries(faults).filter(([name]) => this.#only?.test(name) !== false).map(([name, [weight]]) => [name, weight]));
    if (Object.keys(weights).length === 0) return;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await sleep(pauseMs * (0.2 - Math.log(1 - random.fraction())), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const name = random.weighted(weights);
      const struck: Struck = { name, from: Date.now(), to: null, outcome: 'struck' };
      this.struck.push(struck);
      try {
        if ((await faults[name]?.[1](this.#stage, random)) === false) struck.outcome = 'missed';
      } catch {
        // Another fault was in the way: the server was down, say.
        struck.outcome = 'broken off';
      }
      struck.to = Date.now();
    }
  }
}
