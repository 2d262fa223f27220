import type { Outcome } from '../types.js';
import type { Attempt, Span } from './events.js';

/** A delivery as it is attempted; its body holds no token. */
interface Note {
  readonly notificationId: string;
  readonly channelId: string;
  readonly body: string;
}

export interface Health {
  readonly lastSuccessAt: number | null;
  /** the first failure since the last success */
  readonly failingSince: number | null;
}

export const SPAN_MS = 5_000;
/** Fifteen minutes. */
export const SPANS = 180;
export const ATTEMPTS = 100;
/** Characters kept of each body: with `ATTEMPTS` of them at most 400 kB. */
export const BODY_LIMIT = 2_048;

/** Upper bounds of the latencies that are counted together: 1 ms, then each √2 times the one before, up to 90 s. */
const BOUNDS = Array.from({ length: 34 }, (_bound, place) => Math.SQRT2 ** place);
const UNKNOWN: Health = { lastSuccessAt: null, failingSince: null };

interface Cell {
  index: number;
  delivered: number;
  failed: number;
  readonly latencies: Uint32Array;
}

/**
 * What was sent in the last minutes, for people who look. Of fixed size however much happens: a ring of
 * attempts, a ring of spans of time, one small entry for each endpoint.
 */
export class Activity {
  readonly #attempts: Attempt[] = [];
  readonly #cells: readonly Cell[] = Array.from({ length: SPANS }, () => ({ index: -1, delivered: 0, failed: 0, latencies: new Uint32Array(BOUNDS.length) }));
  readonly #health = new Map<string, { lastSuccessAt: number | null; failingSince: number | null }>();
  #seq = 0;

  /** @param now milliseconds since 1970 */
  attempted(webhookId: string, note: Note, outcome: Outcome, attempt: number, ms: number, committedAt: number | null, now: number): void {
    const delivered = outcome.kind === 'delivered';
    const latencyMs = committedAt === null ? null : Math.max(0, now - committedAt);
    const cell = this.#cell(now);
    if (delivered) cell.delivered += 1;
    else cell.failed += 1;
    if (delivered && latencyMs !== null && attempt === 1) {
      const bound = boundOf(latencyMs);
      cell.latencies[bound] = (cell.latencies[bound] ?? 0) + 1;
    }
    this.#note(webhookId, delivered, now);
    const { notificationId, channelId, body } = note;
    this.#attempts[this.#seq % ATTEMPTS] = {
      seq: (this.#seq += 1), at: now, webhookId, notificationId, channelId, attempt, kind: outcome.kind, status: outcome.status, reason: delivered ? null : outcome.reason,
      ms, latencyMs, body: body.length <= BODY_LIMIT ? body : beginning(body), bodyLength: body.length,
    };
  }

  /** Attempts after this one, the oldest first, as far as they are kept. */
  since(seq: number): readonly Attempt[] {
    return this.#attempts.filter((attempt) => attempt.seq > seq).sort((one, other) => one.seq - other.seq);
  }

  /** The spans from this one on in which something happened, without those that are forgotten. */
  spans(from: number, now: number): readonly Span[] {
    const first = Math.max(from, Math.floor(now / SPAN_MS) - SPANS + 1);
    return this.#cells
      .filter(({ index }) => index >= first)
      .sort((one, other) => one.index - other.index)
      .map(({ index, delivered, failed, latencies }) => ({ index, delivered, failed, p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95) }));
  }

  health(webhookId: string): Health {
    return this.#health.get(webhookId) ?? UNKNOWN;
  }

  /** Forgets endpoints that are no more. */
  retain(webhookIds: ReadonlySet<string>): void {
    for (const id of this.#health.keys()) if (!webhookIds.has(id)) this.#health.delete(id);
  }

  #cell(now: number): Cell {
    const index = Math.floor(now / SPAN_MS);
    const cell = this.#cells[index % SPANS];
    if (cell === undefined) throw new RangeError(`no span for ${now}`);
    if (cell.index !== index) {
      cell.index = index;
      cell.delivered = 0;
      cell.failed = 0;
      cell.latencies.fill(0);
    }
    return cell;
  }

  #note(webhookId: string, delivered: boolean, now: number): void {
    let health = this.#health.get(webhookId);
    if (health === undefined) {
      health = { lastSuccessAt: null, failingSince: null };
      this.#health.set(webhookId, health);
    }
    if (delivered) {
      health.lastSuccessAt = now;
      health.failingSince = null;
    } else {
      health.failingSince ??= now;
    }
  }
}

function boundOf(latencyMs: number): number {
  return latencyMs <= 1 ? 0 : Math.min(BOUNDS.length - 1, Math.ceil(Math.log2(latencyMs) * 2 - 1e-9));
}

/** As a bound of what is counted together, so at most 41 % too much. */
function quantile(counts: Uint32Array, share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  const place = counts.findIndex((count) => (seen += count) >= total * share);
  return BOUNDS[place] ?? null;
}

/** A copy: a slice of a string of many megabytes would keep all of it. */
function beginning(body: string): string {
  return Buffer.from(body.slice(0, BODY_LIMIT), 'utf16le').toString('utf16le');
}
