interface Lane<T> {
  queue: T[];
  busy: boolean;
  underWay: T | undefined;
}

/**
 * Order: of each lane one item is under way at a time, the rest wait in the order in which they came.
 * Lanes take turns. A pure state machine.
 */
export class Lanes<T> {
  readonly #lanes = new Map<string, Lane<T>>();
  /** lanes with something to send and nothing under way, in turn */
  #ready: Lane<T>[] = [];
  #turn = 0;
  #queued = 0;

  /** How many items wait. */
  get queued(): number {
    return this.#queued;
  }

  push(name: string, item: T): void {
    this.#queued += 1;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      // Nearly all lanes have but one item: a list that grows would have room for seventeen.
      lane = { queue: [item], busy: false, underWay: undefined };
      this.#lanes.set(name, lane);
    } else {
      lane.queue.push(item);
    }
    if (!lane.busy && lane.queue.length === 1) this.#ready.push(lane);
  }

  /** The next item that may go; its lane is busy until `done`. */
  next(): T | undefined {
    while (this.#turn < this.#ready.length) {
      const lane = this.#ready[this.#turn];
      this.#turn += 1;
      if (this.#turn > 128) {
        this.#ready = this.#ready.slice(this.#turn);
        this.#turn = 0;
      }
      // A lane that was cut meanwhile has nothing left.
      if (lane === undefined || lane.busy || lane.queue.length === 0) continue;
      lane.busy = true;
      lane.underWay = lane.queue.shift();
      this.#queued -= 1;
      return lane.underWay;
    }
    this.#ready = [];
    this.#turn = 0;
    return undefined;
  }

  /** What waits in the lane. */
  waiting(name: string): readonly T[] {
    return this.#lanes.get(name)?.queue ?? [];
  }

  /** What is under way in the lane. */
  underWay(name: string): T | undefined {
    return this.#lanes.get(name)?.underWay;
  }

  /** What was under way in the lane has ended; nothing else of the lane may go before `done`. */
  ended(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane !== undefined) lane.underWay = undefined;
  }

  /** What was under way in the lane is dealt with. */
  done(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    lane.busy = false;
    lane.underWay = undefined;
    if (lane.queue.length > 0) this.#ready.push(lane);
    else this.#lanes.delete(name);
  }

  /** Takes out what waits in one lane; what is under way stays. */
  cut(name: string): readonly T[] {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return [];
    const items = lane.queue;
    lane.queue = [];
    this.#queued -= items.length;
    if (!lane.busy) this.#lanes.delete(name);
    return items;
  }

  /** What waits in one lane is these. */
  replace(name: string, items: readonly T[]): void {
    this.cut(name);
    for (const item of items) this.push(name, item);
  }

  /** Takes out everything that waits, lane by lane. */
  cutAll(): readonly T[] {
    return [...this.#lanes.keys()].flatMap((name) => this.cut(name));
  }

  /** The first that waits in each lane. */
  *heads(): Iterable<T> {
    for (const { queue } of this.#lanes.values()) {
      const head = queue[0];
      if (head !== undefined) yield head;
    }
  }
}
