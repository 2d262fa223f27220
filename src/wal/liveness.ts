/**
 * Is the server still there? Pure timing, the clock is passed in (milliseconds, monotonic).
 *
 * The bridge's own status updates keep the server from ever asking, so the bridge asks: a status
 * update with the reply flag set must be answered.
 */
export interface LivenessTiming {
  /** silence after which a reply is asked for */
  readonly askAfterMs: number;
  /** silence after which the connection counts as dead */
  readonly deadAfterMs: number;
}

/** @param walSenderTimeoutMs the server's wal_sender_timeout; 0 when it is turned off */
export function livenessTiming(walSenderTimeoutMs: number): LivenessTiming {
  const deadAfterMs = walSenderTimeoutMs === 0 ? 60_000 : Math.min(60_000, Math.max(1_000, walSenderTimeoutMs));
  return { askAfterMs: Math.min(10_000, deadAfterMs / 4), deadAfterMs };
}

export class Liveness {
  readonly #timing: LivenessTiming;
  #heardAt: number;
  #firstAskedAt: number | null = null;
  #lastAskedAt = 0;

  constructor(timing: LivenessTiming, now: number) {
    this.#timing = timing;
    this.#heardAt = now;
  }

  heard(now: number): void {
    this.#heardAt = now;
    this.#firstAskedAt = null;
  }

  /**
   * While the socket is not read on purpose, silence says nothing. After a stop of the whole process
   * (a suspended machine) the server is asked before it is given up.
   */
  check(now: number, reading: boolean): 'fine' | 'ask' | 'dead' {
    if (!reading) {
      this.heard(now);
      return 'fine';
    }
    const silent = now - this.#heardAt;
    if (silent < this.#timing.askAfterMs) return 'fine';
    if (this.#firstAskedAt === null) {
      this.#firstAskedAt = now;
      this.#lastAskedAt = now;
      return 'ask';
    }
    if (silent >= this.#timing.deadAfterMs && now - this.#firstAskedAt >= this.#timing.askAfterMs) return 'dead';
    if (now - this.#lastAskedAt < this.#timing.askAfterMs) return 'fine';
    this.#lastAskedAt = now;
    return 'ask';
  }
}
