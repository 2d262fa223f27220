import type { Outcome } from '../types.js';

/** Pure: randomness and the clock are passed in. Times in milliseconds. */
export interface RetryTiming {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxAgeMs: number;
}

/** Doubling from `baseMs` to `maxMs`, up to a quarter more by chance, so that many do not come back at once. */
export function backoffMs(attempts: number, timing: RetryTiming, random: number): number {
  const doubled = timing.baseMs * 2 ** Math.min(attempts - 1, 40);
  return Math.round(Math.min(doubled, timing.maxMs) * (1 + random / 4));
}

/** What the receiver asks for, in seconds or as a date, kept within one second and one hour. RFC 9110, 10.2.3 */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  const asked = /^\d+$/u.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(asked) ? null : Math.min(3_600_000, Math.max(1_000, asked));
}

/** What an answer's status means. */
export function classify(status: number, retryAfter: string | undefined, now: number): Outcome {
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  if (status === 410) return { kind: 'gone', status, reason: 'the endpoint answered 410 Gone' };
  const heeded = status === 429 || status === 503 ? retryAfterMs(retryAfter, now) : null;
  const redirect = status >= 300 && status < 400 ? '; redirects are not followed' : '';
  return { kind: 'failed', status, reason: `the endpoint answered ${status}${redirect}`, retryAfterMs: heeded };
}

export type Failed = Extract<Outcome, { kind: 'failed' }>;

export interface RetryDecision {
  readonly kind: 'retry' | 'dead';
  /** when to try again, milliseconds since 1970 */
  readonly at: number;
}

/** @param attempts made so far, this one included; @param since when the first was made, or since when it waits */
export function decideRetry(outcome: Failed, attempts: number, since: number, now: number, timing: RetryTiming, random: number): RetryDecision {
  const at = now + (outcome.retryAfterMs ?? backoffMs(attempts, timing, random));
  return { kind: now - since >= timing.maxAgeMs ? 'dead' : 'retry', at };
}

/** So many lanes must fail, with no success between, before the endpoint itself counts as failing. */
const LANES_TO_OPEN = 5;

/**
 * Whether an endpoint as a whole works. Closed: everything is sent. Open: nothing but one probe at a
 * time, with backoff. After the first success the number of requests at once doubles with each
 * further one. One lane that fails again and again never opens it.
 */
export class Breaker {
  readonly #timing: RetryTiming;
  readonly #failingLanes = new Set<string>();
  #probes = 0;
  #probeAt: number | null = null;
  #window = Number.POSITIVE_INFINITY;

  constructor(timing: RetryTiming) {
    this.#timing = timing;
  }

  get open(): boolean {
    return this.#probeAt !== null;
  }

  /** When the next probe may go; null when closed. */
  get probeAt(): number | null {
    return this.#probeAt;
  }

  /** How many requests may be under way. */
  allowed(maxInFlight: number, now: number): number {
    if (this.#probeAt !== null) return now >= this.#probeAt ? 1 : 0;
    return Math.min(maxInFlight, this.#window);
  }

  /**
   * @param fresh it was the delivery's first attempt: one that failed before says little about the endpoint
   * @returns true when this opened the breaker
   */
  failed(lane: string, fresh: boolean, now: number, random: number, retryAfter: number | null): boolean {
    if (this.#probeAt !== null) {
      // A failure of a request that was under way when it opened is no failed probe.
      if (now < this.#probeAt) return false;
      if (fresh) this.#probes += 1;
      this.#probeAt = now + (retryAfter ?? backoffMs(this.#probes + 1, this.#timing, random));
      return false;
    }
    if (this.#failingLanes.size < LANES_TO_OPEN) this.#failingLanes.add(lane);
    if (this.#failingLanes.size < LANES_TO_OPEN && this.#window > 1) return false;
    this.#probes = 0;
    this.#probeAt = now + (retryAfter ?? backoffMs(1, this.#timing, random));
    return true;
  }

  /** @returns true when this closed the breaker */
  succeeded(): boolean {
    // To clear a set costs, also when it is empty.
    if (this.#failingLanes.size > 0) this.#failingLanes.clear();
    const closed = this.#probeAt !== null;
    this.#probeAt = null;
    this.#window = closed ? 1 : this.#window * 2;
    return closed;
  }
}
