import type { MessageEffect } from './coalesce.js';
import type { Origin } from './payload.js';

/** A change of a message's children that waits for the application's own UPDATE of the message. */
export interface Held<E> {
  readonly entry: E;
  readonly origin: Origin;
  readonly effect: MessageEffect;
  readonly dueAt: number;
}

/**
 * The application commits a child first and the message with its renewed `serialized` a moment later.
 * Pure: the clock is passed in, milliseconds.
 */
export class Settling<E> {
  readonly #held = new Map<string, Held<E>[]>();
  /** in which order they came, for those that are due at once */
  readonly #order = new WeakMap<Held<E>, number>();
  #count = 0;

  get size(): number {
    return this.#held.size;
  }

  hold(held: Held<E>): void {
    this.#order.set(held, this.#count++);
    const list = this.#held.get(held.effect.messageId);
    if (list === undefined) this.#held.set(held.effect.messageId, [held]);
    else list.push(held);
  }

  /** The message itself was written: what waited for it goes out with that. */
  take(messageId: string): readonly Held<E>[] {
    const list = this.#held.get(messageId) ?? [];
    this.#held.delete(messageId);
    return list;
  }

  /** The messages of which something has waited long enough. */
  dueMessages(now: number): readonly string[] {
    return [...this.#held].filter(([, list]) => list.some((held) => held.dueAt <= now)).map(([messageId]) => messageId);
  }

  /** Removes and returns what has waited long enough, oldest first. */
  due(now: number): readonly Held<E>[] {
    const due: Held<E>[] = [];
    for (const [messageId, list] of this.#held) {
      const rest = list.filter((held) => held.dueAt > now);
      if (rest.length === list.length) continue;
      due.push(...list.filter((held) => held.dueAt <= now));
      if (rest.length === 0) this.#held.delete(messageId);
      else this.#held.set(messageId, rest);
    }
    return due.sort((a, b) => a.dueAt - b.dueAt || (this.#order.get(a) ?? 0) - (this.#order.get(b) ?? 0));
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
    this.#held.clear();
  }
}
