/** So much of its parked deliveries is brought back for one endpoint at once, at the most; what is larger alone comes alone. */
const LOAD_BYTES = 1024 * 1024;
/** What one request under way takes in memory beside its body: itself, its connection, its answer. */
export const REQUEST_BYTES = 16_384;
/** And the first to an endpoint: what holds its connections. */
export const FIRST_BYTES = 32_768;

/** So many of those that wait to bring something back are asked when something has gone. */
const ASKED_AT_ONCE = 4;

/** One endpoint that waits. */
interface Waiting {
  /** the body of its next request is no larger than what a request takes anyway */
  small(): boolean;
  /** there is room for one request of it */
  onTurn(): void;
  /** parked deliveries of it may be brought back */
  onRoom(): void;
}

/** Room in memory for requests under way and for parked deliveries that were brought back, in bytes; and who waits for it. */
export class Room {
  readonly #bytes: number;
  readonly #loadBytes: number;
  readonly #largeBytes: number;
  readonly #turns = new Set<Waiting>();
  readonly #loads = new Set<Waiting>();
  readonly #larges = new Set<Waiting>();
  /** of the large ones has gone */
  #largeLeft = false;
  /** those who wait are about to be asked */
  #asking = false;
  #asked: Waiting | null = null;
  /** by requests under way; and without their bodies */
  taken = 0;
  bare = 0;
  /** by parked deliveries that were brought back, those that are larger than can be reserved apart */
  loaded = 0;
  large = 0;
  /** what answers take, on average; a guess before there are any */
  paceMs = 1_000;

  constructor(bytes: number, loadBytes: number, largeBytes: number) {
    this.#bytes = bytes;
    this.#loadBytes = loadBytes;
    this.#largeBytes = largeBytes;
  }

  /** For requests; below 0 when it is more than full. */
  get free(): number {
    return this.#bytes - this.taken;
  }

  /** How much may be brought back at once; 0: nothing now. */
  get load(): number {
    const bytes = Math.min(LOAD_BYTES, this.#loadBytes / 4);
    return this.loaded + bytes <= this.#loadBytes ? bytes : 0;
  }

  /** Of those that are larger one may always be there. */
  fits(large: number): boolean {
    return this.large === 0 || this.large + large <= this.#largeBytes;
  }

  /** Whether an endpoint with nothing under way may have a request there. Small ones do not wait for large bodies. */
  first(one: Waiting): boolean {
    const now = !this.#yields(one) && (this.free > 0 || (this.#freeRequests && one.small()));
    if (!now) this.#turns.add(one);
    return now;
  }

  /** Whether one may have another, beside what it has. The last of the room is for those that have none. */
  another(one: Waiting, taken: number, share: number): boolean {
    return !this.#yields(one) && taken + REQUEST_BYTES <= share * (this.free - this.#bytes / 8);
  }

  waitToLoad(one: Waiting, large: boolean): void {
    (large ? this.#larges : this.#loads).add(one);
  }

  leave(one: Waiting): void {
    this.#turns.delete(one);
    this.#loads.delete(one);
    this.#larges.delete(one);
  }

  /** Something has gone: whoever waits is asked. */
  left(large = false): void {
    this.#largeLeft ||= large;
    if (this.#asking || this.#turns.size + this.#loads.size + this.#larges.size === 0) return;
    this.#asking = true;
    queueMicrotask(() => this.#ask());
  }

  get #freeRequests(): boolean {
    return this.bare < this.#bytes;
  }

  #yields(one: Waiting): boolean {
    return this.#asking && this.#asked !== one;
  }

  #ask(): void {
    for (const one of this.#turns) {
      if (!this.#freeRequests) break;
      if (this.free <= 0 && !one.small()) continue;
      this.#turns.delete(one);
      this.#asked = one;
      one.onTurn();
    }
    this.#asked = null;
    this.#asking = false;
    // Each takes its part a moment later, and who finds nothing waits again.
    if (this.load > 0) askFirst(this.#loads);
    if (this.#largeLeft) askFirst(this.#larges);
    this.#largeLeft = false;
  }
}

function askFirst(waiting: Set<Waiting>): void {
  for (const one of [...waiting].slice(0, ASKED_AT_ONCE)) {
    waiting.delete(one);
    one.onRoom();
  }
}
