import { errorMessage, StreamError } from './errors.js';
import type { Lsn } from './lsn.js';
import type { Observer } from './observer.js';
import { Canary, Standstill, canaryTiming, type CanaryTiming, type Position } from './wal/canary.js';
import type { Follower } from './wal/follow.js';

/** stream: what is committed does not come; standstill: what came is not worked off */
export type StallKind = 'stream' | 'standstill';

export interface StallEvents {
  /** Once for each canary that is missing, and for each standstill. */
  stalled(kind: StallKind, reason: string): void;
  mended(kind: StallKind): void;
  /** Once for each time that none can be sent: the stream is not watched. */
  unsent(reason: string): void;
}

export interface Progress {
  /** commit of the newest transaction that came */
  arrived(): Lsn;
  /** Commits a canary. @returns the LSN of its message, which the commit follows */
  send(): Promise<Lsn>;
  work(): {
    /** what the loop is at; null: it waits for transactions */
    readonly doing: string | null;
    /** transactions that have come wait for it */
    readonly waiting: boolean;
    /** pieces of work that it has finished */
    readonly done: number;
  };
}

const TICK_MS = 1_000;

/**
 * Watches that what is committed comes, and that what came is worked off, while everything else says
 * that all is well. A stream that stands still is begun again.
 */
export class Stalls {
  readonly #observer: Observer;
  readonly #follower: Follower;
  readonly #events: StallEvents;
  readonly #progress: Progress;
  readonly #canary: Canary | null;
  readonly #timing: CanaryTiming;
  readonly #tickMs: number;
  readonly #standstill: Standstill;
  #timer: NodeJS.Timeout | null = null;
  #sending = false;
  #unsent = false;

  /** @param canaryMs CANARY_INTERVAL_MS; 0: no canary */
  constructor(canaryMs: number, observer: Observer, follower: Follower, events: StallEvents, progress: Progress) {
    const timing = canaryTiming(canaryMs);
    this.#observer = observer;
    this.#follower = follower;
    this.#events = events;
    this.#progress = progress;
    this.#canary = canaryMs === 0 ? null : new Canary(timing, performance.now());
    this.#standstill = new Standstill(timing.standstillMs, performance.now());
    this.#timing = timing;
    this.#tickMs = canaryMs === 0 ? TICK_MS : Math.min(TICK_MS, canaryMs);
  }

  start(): void {
    this.#timer = setInterval(() => {
      const now = performance.now();
      const { doing, waiting, done } = this.#progress.work();
      const busy = doing !== null || waiting;
      this.#checkStream(now, busy);
      const still = this.#standstill.check(now, busy && this.#observer.state === 'streaming', done);
      this.#report('standstill', still ? `what has come has not been worked off for ${this.#timing.standstillMs} ms: ${doing ?? 'the loop does not take it'}` : null);
    }, this.#tickMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #checkStream(now: number, busy: boolean): void {
    const canary = this.#canary;
    if (canary === null) return;
    if (this.#observer.state === 'standby') canary.rest(now);
    const verdict = canary.check(now, this.#position(busy));
    if (!canary.doubtful) this.#report('stream', null);
    if (verdict === 'overdue') {
      const reason = `a canary has not come round within ${this.#timing.overdueMs} ms: what is committed does not come`;
      // The next one that is missing is said again.
      this.#observer.stalls.delete('stream');
      this.#report('stream', reason);
      this.#follower.stream?.interrupt(new StreamError(reason));
    }
    if (verdict === 'send' && !this.#sending) this.#send(canary);
  }

  #position(busy: boolean): Position | null {
    const { stream } = this.#follower;
    if (this.#observer.state !== 'streaming' || stream === null) return null;
    return { arrived: this.#progress.arrived(), received: stream.received, busy };
  }

  #send(canary: Canary): void {
    this.#sending = true;
    this.#progress
      .send()
      .then((lsn) => {
        this.#unsent = false;
        canary.sent(lsn, performance.now());
      })
      .catch((error: unknown) => {
        if (!this.#unsent) this.#events.unsent(errorMessage(error));
        this.#unsent = true;
      })
      .finally(() => {
        this.#sending = false;
      });
  }

  /** @param reason null: all is well */
  #report(kind: StallKind, reason: string | null): void {
    const { stalls } = this.#observer;
    if (reason === null) {
      if (stalls.delete(kind)) this.#events.mended(kind);
    } else if (!stalls.has(kind)) {
      stalls.set(kind, reason);
      this.#events.stalled(kind, reason);
    }
  }
}
