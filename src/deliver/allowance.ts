import { FIRST_BYTES, REQUEST_BYTES, Room } from './room.js';

/** Of an endpoint that has something under way nothing was heard for so long: it is slow, until it answers within that. */
const SLOW_MS = 1_000;
/** Where answers take longer altogether, because this machine is busy: so many times what they take. */
const SLOW_PACE = 3;
/** One endpoint may have so many times what is left for all others. */
const SHARE = 4;
/** Where there is not enough, an endpoint whose turn it is has so many requests one after the other on its connection … */
const TURN = 16;
/** … as long as they are answered within this. */
const TURN_MS = 50;

/**
 * What all endpoints together may have in memory, where one alone knows nothing of the others. Those that answer and
 * those that are slow have room of their own, so that however many hang, the others do not wait for them: an endpoint
 * that has not answered within a second gives its place back to them. Where there is not enough, each has one request,
 * in turn.
 */
export class Allowance {
  readonly #prompt: Room;
  readonly #slow: Room;
  readonly #maxRow: number;
  readonly #landed: (bytes: number) => void;

  /**
   * In bytes, for endpoints that answer; slow ones have half of it beside.
   * @param flights for requests under way
   * @param loaded for parked deliveries that were brought back
   * @param maxRow the largest of them, and what those that are larger than can be reserved may take together
   * @param landed told of the body of each request that has come to its end
   */
  constructor(flights: number, loaded: number, maxRow: number, landed: (bytes: number) => void = () => undefined) {
    this.#prompt = new Room(flights, loaded, maxRow);
    this.#slow = new Room(flights / 2, loaded / 2, maxRow / 2);
    this.#maxRow = maxRow;
    this.#landed = landed;
  }

  share(): Share {
    return new Share(this.#prompt, this.#slow, this.#maxRow, this.#landed);
  }
}

/** One endpoint's. */
export class Share {
  readonly #prompt: Room;
  readonly #slow: Room;
  readonly #landed: (bytes: number) => void;
  /** the largest row that is brought back */
  readonly maxRow: number;
  #room: Room;
  #requests = 0;
  #taken = 0;
  #bare = 0;
  #loaded = 0;
  #large = 0;
  /** for so long something has been under way and nothing was heard, milliseconds */
  #quietMs = 0;
  /** of its turn */
  #left = 0;
  #refused = false;
  onTurn: () => void = () => undefined;
  onRoom: () => void = () => undefined;
  nextBytes: () => number = () => 0;

  constructor(prompt: Room, slow: Room, maxRow: number, landed: (bytes: number) => void) {
    this.#prompt = prompt;
    this.#slow = slow;
    this.#room = prompt;
    this.maxRow = maxRow;
    this.#landed = landed;
  }

  small(): boolean {
    return this.nextBytes() <= REQUEST_BYTES;
  }

  /** It answers, and waits for nothing but room that others have. */
  get crowdedOut(): boolean {
    return this.#refused && this.#room === this.#prompt;
  }

  /** Whether a request may be begun. When none is under way and it may not, `onTurn` is called in time. */
  may(): boolean {
    this.#refused = !(this.#requests === 0 ? this.#first() : this.#room.another(this, this.#taken, SHARE));
    return !this.#refused;
  }

  depart(body: number): void {
    if (this.#requests === 0) this.#quietMs = 0;
    this.#requests += 1;
    this.#add(this.#requests === 1 ? FIRST_BYTES : REQUEST_BYTES, body, 0, 0);
  }

  /** @param ms after which the outcome was there; @param answered false: there was no answer */
  arrive(body: number, ms: number, answered: boolean): void {
    this.#requests -= 1;
    this.#add(this.#requests === 0 ? -FIRST_BYTES : -REQUEST_BYTES, -body, 0, 0);
    this.#quietMs = 0;
    this.#left = ms < TURN_MS ? this.#left - 1 : 0;
    if (answered) this.#prompt.paceMs += (ms - this.#prompt.paceMs) / 64;
    if (ms < this.#slowMs) this.#move(this.#prompt);
    this.#room.left();
    this.#landed(body);
  }

  /** Time has passed in which answers could have been heard. To be called a few times a second. */
  look(ms: number): void {
    this.#quietMs += ms;
    if (this.#requests > 0 && this.#quietMs >= this.#slowMs) this.#move(this.#slow);
  }

  /** @returns how much may be brought back, and counts as loaded from now on; 0: nothing now, and `onRoom` is called in time */
  reserve(): number {
    const bytes = this.#room.load;
    if (bytes === 0) this.#room.waitToLoad(this, false);
    this.#add(0, 0, bytes, 0);
    return bytes;
  }

  giveBack(bytes: number): void {
    this.#add(0, 0, -bytes, 0);
    if (bytes > 0) this.#room.left();
  }

  /** For a row that is larger than what can be reserved otherwise. When there is no room for it, `onRoom` is called in time. */
  reserveLarge(bytes: number): boolean {
    const fits = this.#room.fits(bytes);
    if (fits) this.#add(0, 0, 0, bytes);
    else this.#room.waitToLoad(this, true);
    return fits;
  }

  giveBackLarge(bytes: number): void {
    this.#add(0, 0, 0, -bytes);
    if (bytes > 0) this.#room.left(true);
  }

  /** Nothing more is to be sent. */
  leave(): void {
    this.#room.leave(this);
    this.#refused = false;
  }

  get #slowMs(): number {
    return Math.max(SLOW_MS, SLOW_PACE * this.#prompt.paceMs);
  }

  #first(): boolean {
    if (this.#left > 0 && this.#room.free > 0) return true;
    const may = this.#room.first(this);
    if (may) this.#left = TURN;
    return may;
  }

  #move(to: Room): void {
    const from = this.#room;
    if (from === to) return;
    const [bare, bodies, loaded, large] = [this.#bare, this.#taken - this.#bare, this.#loaded, this.#large];
    this.#add(-bare, -bodies, -loaded, -large);
    this.#room = to;
    this.#add(bare, bodies, loaded, large);
    from.left();
  }

  #add(bare: number, bodies: number, loaded: number, large: number): void {
    this.#bare += bare;
    this.#taken += bare + bodies;
    this.#loaded += loaded;
    this.#large += large;
    const room = this.#room;
    room.bare += bare;
    room.taken += bare + bodies;
    room.loaded += loaded;
    room.large += large;
  }
}
