import { compareLsn } from './lsn.js';

/** An endpoint has received all that it was to be told of commits from `since` on and before `lsn`. */
export interface Resolved {
  readonly since: string;
  readonly lsn: string;
  /** of the messages that this one of several instances has; null: of all */
  readonly shard: { readonly index: number; readonly count: number } | null;
}

interface Stretch {
  readonly since: string;
  readonly lsn: string;
}

interface State {
  readonly known: Stretch | null;
  readonly count: number;
  readonly parts: readonly (readonly [index: number, stretch: Stretch])[];
}

/** What an endpoint has received in full, put together from what its requests say, over restarts of the bridge and changes of SHARD. */
export class Completeness {
  #known: Stretch | null;
  #count: number;
  #parts: Map<number, Stretch>;

  /** @param saved what `save` gave, so that it holds over restarts of the receiver */
  constructor(saved: string | null = null) {
    // What was saved is this class's own.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const { known, count, parts } = saved === null ? { known: null, count: 1, parts: [] } : (JSON.parse(saved) as State);
    this.#known = known;
    this.#count = count;
    this.#parts = new Map(parts);
  }

  /** All that was committed from here on … null: nothing is known yet. */
  get since(): string | null {
    return this.#known?.since ?? null;
  }

  /** … and before here has been received. null: nothing is known yet. */
  get lsn(): string | null {
    return this.#known?.lsn ?? null;
  }

  /**
   * @param resolved what a request said (`context.resolved`), once it is dealt with
   * @returns true: there may be something that was committed at `lsn`, as it was, or later, and was not received; `since` says until where
   */
  add(resolved: Resolved | null): boolean {
    if (resolved === null) return false;
    const { index, count } = resolved.shard ?? { index: 1, count: 1 };
    if (count !== this.#count) {
      this.#count = count;
      this.#parts = new Map();
    }
    this.#parts.set(index, joined(this.#parts.get(index), resolved));
    const stretch = this.#parts.size === count ? common([...this.#parts.values()]) : null;
    if (stretch === null) return false;
    const before = this.#known;
    this.#known = joined(before ?? undefined, stretch);
    return before !== null && compareLsn(this.#known.since, before.lsn) > 0;
  }

  /** Text to keep, for the constructor. */
  save(): string {
    return JSON.stringify({ known: this.#known, count: this.#count, parts: [...this.#parts] } satisfies State);
  }
}

/** Both in one, where they meet; otherwise the later one. */
function joined(a: Stretch | undefined, { since, lsn }: Stretch): Stretch {
  if (a === undefined || compareLsn(since, a.lsn) > 0) return { since, lsn };
  if (compareLsn(lsn, a.since) < 0) return a;
  return { since: compareLsn(since, a.since) < 0 ? since : a.since, lsn: compareLsn(lsn, a.lsn) > 0 ? lsn : a.lsn };
}

/** What all of them have; null: nothing. */
function common(parts: readonly Stretch[]): Stretch | null {
  const { since, lsn } = parts.reduce((all, one) => ({ since: compareLsn(one.since, all.since) > 0 ? one.since : all.since, lsn: compareLsn(one.lsn, all.lsn) < 0 ? one.lsn : all.lsn }));
  return compareLsn(since, lsn) < 0 ? { since, lsn } : null;
}
