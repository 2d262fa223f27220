import { asksForEveryChannel, type ReplayEffect } from './asked.js';
import type { Effect } from './coalesce.js';
import type { Origin } from './payload.js';
import type { Held } from './settling.js';

/** So many effects are read and told at a time: of a very large transaction never all at once. */
export const SLICE = 1_000;

/** One thing to be told, and what it came with. */
export interface Work<E> {
  readonly entry: E;
  readonly origin: Origin;
  /** the transaction did not come in parts */
  readonly whole: boolean;
  readonly effect: Effect | ReplayEffect;
}

/** What was taken to be shaped, and how far that has come. */
export interface Shaping<E> {
  work: readonly Work<E>[];
  /** what others of those that share the messages tell is left out */
  sorted: boolean;
  at: number;
  /** of an announcement of all channels that is under way: the last that was announced */
  channel: string | null;
  done: boolean;
}

/** The message that each has to be told from as the database has it; null: told from its own transaction. */
export function readsOf<E>(work: readonly Work<E>[], due: readonly Held<E>[]): readonly (string | null)[] {
  const reads = work.map(({ whole, effect }) => {
    if (effect.kind === 'replay') return effect.messageId;
    if (effect.kind !== 'message' || effect.net === 'deleted') return null;
    // All children of a new message are in its own transaction, unless that came in parts.
    return effect.net !== 'created' || !whole ? effect.messageId : null;
  });
  return due.length === 0 ? reads : [...reads, ...due.map(({ effect }) => effect.messageId)];
}

/** What comes next, up to an announcement of all channels, which has slices of its own. */
export function sliceOf<E>({ work, at }: Shaping<E>): readonly Work<E>[] {
  if (at === 0 && work.length <= SLICE && !work.some(({ effect }) => asksForEveryChannel(effect))) return work;
  const slice = work.slice(at, at + SLICE);
  const end = slice.findIndex(({ effect }) => asksForEveryChannel(effect));
  return end < 0 ? slice : slice.slice(0, end);
}
