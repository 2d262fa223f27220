import type { Row } from '../types.js';

/**
 * Rows of messages told of late: one that is deleted by now can still be told to have changed before.
 * Two generations, each half of what is kept: to remove the oldest one by one costs 4 µs each, because
 * a Map walks over what was removed from its begin.
 */
export class Recent {
  readonly #limit: number;
  #young = new Map<string, Row>();
  #old = new Map<string, Row>();
  #characters = 0;

  /** @param characters of text that are kept, about; more than half of them always, but never a row that alone has more than half */
  constructor(characters: number) {
    this.#limit = characters / 2;
  }

  get(messageId: string): Row | null {
    return this.#young.get(messageId) ?? this.#old.get(messageId) ?? null;
  }

  put(messageId: string, row: Row): void {
    if (size(row) > this.#limit) return;
    this.#characters += size(row) - size(this.#young.get(messageId));
    this.#young.set(messageId, row);
    if (this.#characters < this.#limit) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#characters = 0;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#characters = 0;
  }
}

function size(row: Row | undefined): number {
  return row === undefined ? 0 : (row['text']?.length ?? 0) + 100;
}
