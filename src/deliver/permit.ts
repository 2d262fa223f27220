/** So long between two ticks means that the process stood still. */
const STOOD_STILL_MS = 1_000;
/** What the network had to say meanwhile has been heard by then. */
const HEARD_MS = 250;
export const TICK_MS = 100;

/**
 * Whether requests may be begun. An instance that has lost the stream may have lost the lead with it, and one that
 * stood still may have lost both without knowing: another one may have delivered what this one still holds, and more.
 * Pure: the clock is passed in, milliseconds.
 */
export class Permit {
  #given = false;
  #tickedAt = Number.NEGATIVE_INFINITY;
  #from = Number.NEGATIVE_INFINITY;
  /** at the last tick */
  #held = false;

  give(now: number): void {
    this.#given = true;
    this.#tickedAt = now;
    this.#held = this.holds(now);
  }

  withdraw(): void {
    this.#given = false;
  }

  /** To be called every TICK_MS. @returns true when requests may be begun that might not before */
  tick(now: number): boolean {
    const before = this.#held;
    if (now - this.#tickedAt > STOOD_STILL_MS) this.#from = now + HEARD_MS;
    this.#tickedAt = now;
    this.#held = this.holds(now);
    return this.#held && !before;
  }

  holds(now: number): boolean {
    return this.#given && now >= this.#from && now - this.#tickedAt <= STOOD_STILL_MS;
  }
}
