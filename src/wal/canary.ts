import type { Lsn } from '../lsn.js';

/** Where a stream stands. */
export interface Position {
  /** commit of the newest transaction that came */
  readonly arrived: Lsn;
  /** how far the server has read its WAL for this stream, by its own word */
  readonly received: Lsn;
  /** what came is still being worked off: so long silence says nothing */
  readonly busy: boolean;
}

export interface CanaryTiming {
  /** after so long without a transaction a canary is let fly */
  readonly idleMs: number;
  /** so long it may take to come round */
  readonly overdueMs: number;
  /** so long work that has come may not go on: longer than waits that have a time-out of their own */
  readonly standstillMs: number;
}

/** A check that comes so late says that this process stood still, not the stream. */
const LATE_MS = 2_000;

/** @param intervalMs CANARY_INTERVAL_MS; 0: no canary flies */
export function canaryTiming(intervalMs: number): CanaryTiming {
  const overdueMs = intervalMs === 0 ? 10_000 : Math.min(10_000, Math.max(2_000, intervalMs));
  return { idleMs: intervalMs, overdueMs, standstillMs: 3 * overdueMs };
}

/**
 * Does what is committed come? Pure timing, the clock is passed in (milliseconds, monotonic).
 *
 * Every transaction that comes answers that, so only a stream that is idle is asked, by a transaction
 * of the bridge's own. A server that is busy with other WAL, or catching up, says in its keepalives how
 * far it is: as long as it goes on towards the canary, it is waited for.
 */
export class Canary {
  readonly #timing: CanaryTiming;
  #arrived: Lsn = 0n;
  #received: Lsn = 0n;
  /** the canary that flies: its commit is not before this LSN */
  #awaited: Lsn | null = null;
  #movedAt: number;
  #checkedAt: number;
  #doubtful = false;

  constructor(timing: CanaryTiming, now: number) {
    this.#timing = timing;
    this.#movedAt = now;
    this.#checkedAt = now;
  }

  /** One did not come round, and nothing has come since. */
  get doubtful(): boolean {
    return this.#doubtful;
  }

  /** Another instance streams, and has its own doubts. */
  rest(now: number): void {
    this.#doubtful = false;
    this.#awaited = null;
    this.#movedAt = now;
    this.#checkedAt = now;
  }

  /** @param lsn of the canary's message in the WAL, which its commit follows */
  sent(lsn: Lsn, now: number): void {
    this.#awaited = lsn;
    this.#movedAt = now;
  }

  /**
   * 'send': a canary is to be let fly. 'overdue', said once for each: it did not come round.
   * @param position null: nothing streams
   */
  check(now: number, position: Position | null): 'fine' | 'send' | 'overdue' {
    const late = now - this.#checkedAt > LATE_MS;
    this.#checkedAt = now;
    if (position === null) {
      // A stream that is begun again after a doubt is asked at once.
      this.#awaited = null;
      this.#movedAt = this.#doubtful ? Number.NEGATIVE_INFINITY : now;
      return 'fine';
    }
    const { arrived, received, busy } = position;
    const came = arrived > this.#arrived;
    const goesOn = this.#awaited !== null && received > this.#received && this.#received < this.#awaited;
    this.#arrived = arrived;
    this.#received = received;
    if (came) this.#doubtful = false;
    if (this.#awaited !== null && arrived >= this.#awaited) this.#awaited = null;
    if (came || busy || goesOn || late) this.#movedAt = now;
    const still = now - this.#movedAt;
    if (this.#awaited === null) return still >= this.#timing.idleMs ? 'send' : 'fine';
    if (still < this.#timing.overdueMs) return 'fine';
    this.#awaited = null;
    this.#doubtful = true;
    return 'overdue';
  }
}

/** Does work that is there go on? The clock is passed in. */
export class Standstill {
  readonly #limitMs: number;
  #done = 0;
  #movedAt: number;
  #checkedAt: number;

  constructor(limitMs: number, now: number) {
    this.#limitMs = limitMs;
    this.#movedAt = now;
    this.#checkedAt = now;
  }

  /** @param done goes up with each piece of work that is finished. @returns whether it stands still */
  check(now: number, pending: boolean, done: number): boolean {
    if (!pending || done !== this.#done || now - this.#checkedAt > LATE_MS) this.#movedAt = now;
    this.#checkedAt = now;
    this.#done = done;
    return now - this.#movedAt >= this.#limitMs;
  }
}
