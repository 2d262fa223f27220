interface Lane<T> {
  queue: T[];
  /** of those that wait, how many do not yield */
  live: number;
  busy: boolean;
  underWay: T | undefined;
}

/**
 * Order: of each lane one item is under way at a time, the rest wait in the order in which they came.
 * Lanes take turns; those in which all that waits yields have theirs apart (`nextYielding`). A pure state machine.
 */
export class Lanes<T> {
  readonly #yields: (item: T) => boolean;
  readonly #lanes = new Map<string, Lane<T>>();
  /** with something to send and nothing under way */
  readonly #ready = new Turns<T>();
  /** the same, and all of it yields */
  readonly #yielding = new Turns<T>();
  #queued = 0;
  #live = 0;

  /** @param yields to everything that does not, but for what waits behind it in its own lane */
  constructor(yields: (item: T) => boolean = () => false) {
    this.#yields = yields;
  }

  /** How many items wait. */
  get queued(): number {
    return this.#queued;
  }

  /** How many of them do not yield. */
  get live(): number {
    return this.#live;
  }

  push(name: string, item: T): void {
    const live = this.#yields(item) ? 0 : 1;
    this.#queued += 1;
    this.#live += live;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      // Nearly all lanes have but one item: a list that grows would have room for seventeen.
      lane = { queue: [item], live, busy: false, underWay: undefined };
      this.#lanes.set(name, lane);
      this.#offer(lane);
      return;
    }
    lane.queue.push(item);
    lane.live += live;
    // What yielded does not any more: something that must not wait is behind it.
    if (!lane.busy && (lane.queue.length === 1 || (live === 1 && lane.live === 1))) this.#offer(lane);
  }

  /** The next item that may go; its lane is busy until `done`. */
  next(): T | undefined {
    return this.#take(this.#ready, (lane) => lane.live > 0);
  }

  /** The same of those that yield; to be asked for when nothing else may go. */
  nextYielding(): T | undefined {
    return this.#take(this.#yielding, (lane) => lane.live === 0);
  }

  /** What `next` would give, or else `nextYielding`. */
  peek(): T | undefined {
    return this.#first(this.#ready, (lane) => lane.live > 0) ?? this.#first(this.#yielding, (lane) => lane.live === 0);
  }

  #first(turns: Turns<T>, isRight: (lane: Lane<T>) => boolean): T | undefined {
    for (let lane = turns.first; lane !== undefined; lane = turns.first) {
      if (!lane.busy && isRight(lane) && lane.queue.length > 0) return lane.queue[0];
      turns.shift();
    }
    return undefined;
  }

  #take(turns: Turns<T>, isRight: (lane: Lane<T>) => boolean): T | undefined {
    for (let lane = turns.shift(); lane !== undefined; lane = turns.shift()) {
      // A lane that was cut meanwhile has nothing left.
      if (lane.busy || !isRight(lane)) continue;
      const item = lane.queue.shift();
      if (item === undefined) continue;
      lane.busy = true;
      lane.underWay = item;
      this.#left(lane, item);
      return item;
    }
    return undefined;
  }

  #offer(lane: Lane<T>): void {
    (lane.live > 0 ? this.#ready : this.#yielding).push(lane);
  }

  #left(lane: Lane<T>, item: T): void {
    const live = this.#yields(item) ? 0 : 1;
    lane.live -= live;
    this.#live -= live;
    this.#queued -= 1;
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
    if (lane.queue.length > 0) this.#offer(lane);
    else this.#lanes.delete(name);
  }

  /** Takes out what waits in one lane; what is under way stays. */
  cut(name: string): readonly T[] {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return [];
    const items = lane.queue;
    lane.queue = [];
    for (const item of items) this.#left(lane, item);
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

  /** Takes out what waits in lanes in which all of it yields, and whose first has waited for long. */
  cutYielding(forLong: (first: T) => boolean): readonly T[] {
    return [...this.#lanes].flatMap(([name, { queue: [first], live }]) => (live === 0 && first !== undefined && forLong(first) ? this.cut(name) : []));
  }

  /** The first that waits in each lane that does not yield. */
  *heads(): Iterable<T> {
    for (const { live, queue } of this.#lanes.values()) {
      const head = queue[0];
      if (live > 0 && head !== undefined) yield head;
    }
  }
}

/** Lanes one after the other. A list of its own: an array that loses its first each time would be moved each time. */
class Turns<T> {
  #lanes: Lane<T>[] = [];
  #turn = 0;

  push(lane: Lane<T>): void {
    this.#lanes.push(lane);
  }

  get first(): Lane<T> | undefined {
    return this.#lanes[this.#turn];
  }

  shift(): Lane<T> | undefined {
    const lane = this.#lanes[this.#turn];
    if (lane === undefined) {
      this.#lanes = [];
      this.#turn = 0;
      return undefined;
    }
    this.#turn += 1;
    if (this.#turn > 128) {
      this.#lanes = this.#lanes.slice(this.#turn);
      this.#turn = 0;
    }
    return lane;
  }
}
