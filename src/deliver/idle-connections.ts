/** One that has connections and nothing under way. */
export interface Resting {
  /** open ones */
  readonly connections: number;
  /** how long nothing was under way before the last request, milliseconds */
  readonly restedFor: number;
  /** since when nothing is under way, by performance.now() */
  readonly restsSince: number;
  /** Closes them; opens others when it has to. */
  rest(): void;
}

/** What holds an endpoint's connections takes as much as two of them, also when all were closed by the other side. */
const POOL = 2;

/**
 * Connections that are kept open for the next request, of all endpoints: so many at the most. What holds them (18 kB
 * for a pool without a connection, and 12 for each) would otherwise grow with the number of endpoints.
 */
export class IdleConnections {
  readonly #max: number;
  /** in the order in which they were used last */
  readonly #resting = new Map<Resting, number>();
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Nothing is under way there. */
  add(one: Resting): void {
    this.remove(one);
    const connections = one.connections + POOL;
    this.#resting.set(one, connections);
    this.#count += connections;
    for (const oldest of this.#resting.keys()) {
      if (this.#count <= this.#max) break;
      // Where all are used in turn, the one that was used last is the one that is needed last.
      const leaves = one.restsSince - oldest.restsSince >= one.restedFor ? oldest : one;
      this.remove(leaves);
      leaves.rest();
      if (leaves === one) break;
    }
  }

  /** Something is under way there again, or it is closed. */
  remove(one: Resting): void {
    this.#count -= this.#resting.get(one) ?? 0;
    this.#resting.delete(one);
  }
}
