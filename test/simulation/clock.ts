/** Whose timers are held back, or forgotten. */
export interface Owner {
  /** stopped, and to go on later */
  frozen: boolean;
  /** killed */
  dead: boolean;
}

interface Timer {
  readonly id: number;
  readonly run: () => void;
  readonly owner: Owner | null;
  readonly everyMs: number | null;
  at: number;
}

const EPOCH = Date.UTC(2030, 0, 1);
/** What the platform's own timers give back, as far as types go. */
type Handle = NodeJS.Timeout;

/**
 * A clock that nothing but `advance` moves: timers, `Date.now` and `performance.now` are its own while `run` lasts. All
 * that a timer sets going is done before the next one, so that the same history goes the same way every time.
 */
export class VirtualClock {
  #now = 0;
  #ids = 0;
  readonly #timers = new Map<number, Timer>();
  /** whose doing everything is at this moment */
  #owner: Owner | null = null;

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  /** Timers that `work` sets are the owner's. */
  as<T>(owner: Owner | null, work: () => T): T {
    const before = this.#owner;
    this.#owner = owner;
    try {
      return work();
    } finally {
      this.#owner = before;
    }
  }

  /** What `work` does, and all that follows from it at once, is the owner's. */
  async go(owner: Owner | null, work: () => unknown): Promise<void> {
    const before = this.#owner;
    this.#owner = owner;
    work();
    await settled();
    this.#owner = before;
  }

  async run<T>(random: () => number, work: () => Promise<T>): Promise<T> {
    const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;
    // oxlint-disable-next-line typescript/unbound-method -- put back as they were, called by nobody
    const [dateNow, performanceNow, mathRandom] = [Date.now, performance.now, Math.random];
    const clear = (handle: unknown): void => {
      this.#timers.delete(Number(handle));
    };
    const set = (everyMs: (ms: number) => number | null) => (run: () => void, ms = 0): Handle => {
      const id = (this.#ids += 1);
      this.#timers.set(id, { id, run, owner: this.#owner, everyMs: everyMs(ms), at: this.#now + Math.max(1, ms) });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing is asked of it but to be cleared
      return id as unknown as Handle;
    };
    Object.assign(globalThis, { setTimeout: set(() => null), setInterval: set((ms) => Math.max(1, ms)), clearTimeout: clear, clearInterval: clear });
    Date.now = () => EPOCH + Math.floor(this.#now);
    performance.now = () => this.#now;
    Math.random = random;
    try {
      return await work();
    } finally {
      Object.assign(globalThis, { setTimeout, setInterval, clearTimeout, clearInterval });
      Object.assign(Date, { now: dateNow });
      Object.assign(performance, { now: performanceNow });
      Object.assign(Math, { random: mathRandom });
    }
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at);
      if (next.everyMs === null) this.#timers.delete(next.id);
      else next.at = this.#now + next.everyMs;
      await this.go(next.owner, next.run);
    }
    this.#now = end;
  }

  /** Until it holds, at the most so long. @returns whether it does */
  async until(holds: () => boolean, atMostMs: number): Promise<boolean> {
    for (const end = this.#now + atMostMs; this.#now < end; await this.advance(25)) if (holds()) return true;
    return holds();
  }

  #next(end: number): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers.values()) {
      if (timer.owner?.dead === true) this.#timers.delete(timer.id);
      else if (timer.at <= end && timer.owner?.frozen !== true && (next === null || timer.at < next.at)) next = timer;
    }
    return next;
  }
}

/** Every promise that can go on has gone on. */
async function settled(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
