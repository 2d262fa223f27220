import type { MessageEffect } from './coalesce.js';
import type { Origin } from './payload.js';

/** A change of a message's children that waits for the application's own UPDATE of the message. */
export interface Held<E> {
  readonly entry: E;
  readonly origin: Origin;
  readonly effect: MessageEffect;
  readonly dueAt: number;
}

/** So many changes wait at the most; what comes beyond goes out at once, and again with the application's UPDATE. */
const LIMIT = 10_000;

/**
 * The application commits a child first and the message with its renewed `serialized` a moment later.
 * Pure: the clock is passed in, milliseconds.
 */
export class Settling<E> {
  readonly #held = new Map<string, Held<E>[]>();
  /** in which order they came, for those that are due at once */
  readonly #order = new WeakMap<Held<E>, number>();
  #count = 0;
  #size = 0;

  get full(): boolean {
    return this.#size >= LIMIT;
  }

  hold(held: Held<E>): void {
    this.#size += 1;
    this.#order.set(held, this.#count++);
    const list = this.#held.get(held.effect.messageId);
    if (list === undefined) this.#held.set(held.effect.messageId, [held]);
    else list.push(held);
  }

  /** The message itself was written: what waited for it goes out with that. */
  take(messageId: string): readonly Held<E>[] {
    const list = this.#held.get(messageId) ?? [];
    this.#held.delete(messageId);
    this.#size -= list.length;
    return list;
  }

  /** What has waited long enough, oldest first; it goes on waiting until `release`. */
  due(now: number, limit: number): readonly Held<E>[] {
    const due: Held<E>[] = [];
    for (const list of this.#held.values()) for (const held of list) if (held.dueAt <= now) due.push(held);
    due.sort((a, b) => a.dueAt - b.dueAt || (this.#order.get(a) ?? 0) - (this.#order.get(b) ?? 0));
    return due.slice(0, limit);
  }

  /** Removes these. @returns those that still waited */
  release(due: readonly Held<E>[]): readonly Held<E>[] {
    return due.filter((held) => {
      const list = this.#held.get(held.effect.messageId);
      const index = list?.indexOf(held) ?? -1;
      if (list === undefined || index < 0) return false;
      list.splice(index, 1);
      this.#size -= 1;
      if (list.length === 0) this.#held.delete(held.effect.messageId);
      return true;
    });
  }

  /** When the next one is due; null when nothing waits. */
  nextDueAt(): number | null {
    let next: number | null = null;
    for (const list of this.#held.values()) {
      const first = list[0];
      if (first !== undefined && (next === null || first.dueAt < next)) next = first.dueAt;
    }
    return next;
  }

  clear(): void {
    this.#size = 0;
    this.#held.clear();
  }
}
