/**
 * A set, in no order, for what comes and goes thousands of times a second. A `Set` would be rehashed
 * all the time, and its former tables, once they are old, keep all that was in them from the young
 * generation's collector: a quarter of all that was allocated went on to the full collection.
 */
export class Bag<T extends { place: number }> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** @param item one that may have been removed already */
  delete(item: T): void {
    const { place } = item;
    if (this.#items[place] !== item) return;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[place] = last;
    last.place = place;
  }

  /** As it is now: items may come and go meanwhile. */
  items(): readonly T[] {
    return [...this.#items];
  }
}
