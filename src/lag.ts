import type { Lsn } from './lsn.js';

interface Sample {
  readonly at: number;
  readonly lsn: Lsn;
}

const LIMIT = 256;

/**
 * How far behind, in seconds, from looks at the server's WAL position now and then: for how long that
 * has not been confirmed which was there at a look. Needs nothing from the stream, so it is true while
 * that is broken as well.
 */
export class Lag {
  #samples: Sample[] = [];
  /** between two that are kept: after hours of standing still it need not be known to the second */
  #spacing = 0;

  /** @param at milliseconds of a monotonic clock */
  look(lsn: Lsn, at: number): void {
    const newest = this.#samples.at(-1);
    // The server's WAL goes on from an earlier position: another history.
    if (newest !== undefined && lsn < newest.lsn) this.reset();
    else if (newest !== undefined && at - newest.at < this.#spacing) return;
    this.#samples.push({ at, lsn });
    if (this.#samples.length <= LIMIT) return;
    this.#spacing = (at - (this.#samples[0]?.at ?? at)) / (LIMIT / 2);
    this.#samples = this.#samples.filter((_sample, place) => place % 2 === 0);
  }

  /** 0: all that was there at the last look is confirmed. */
  seconds(confirmed: Lsn, now: number): number {
    const open = this.#samples.findIndex((sample) => sample.lsn > confirmed);
    if (open === -1) {
      this.reset();
      return 0;
    }
    this.#samples = this.#samples.slice(open);
    return (now - (this.#samples[0]?.at ?? now)) / 1000;
  }

  reset(): void {
    this.#samples = [];
    this.#spacing = 0;
  }
}
