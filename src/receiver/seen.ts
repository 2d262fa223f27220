/**
 * Which notifications were dealt with, by `webhook-id`. One that several processes share needs a store
 * that they share; `add` is called only after the work is done.
 */
export interface SeenStore {
  has(id: string): boolean | Promise<boolean>;
  add(id: string): void | Promise<void>;
}

/** Remembers the last so many, in this process. */
export class SeenInMemory implements SeenStore {
  readonly #limit: number;
  readonly #ids = new Set<string>();

  constructor(limit = 100_000) {
    this.#limit = limit;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size <= this.#limit) return;
    const [oldest] = this.#ids;
    if (oldest !== undefined) this.#ids.delete(oldest);
  }
}
