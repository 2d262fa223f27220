/** What one request under way takes in memory beside its body: itself, its connection, its answer. */
const REQUEST_BYTES = 16_384;
/** So much of its parked deliveries is brought back for one endpoint at the most; what is larger alone comes alone. */
const LOAD_BYTES = 1024 * 1024;

/** What all endpoints together may have in memory, in bytes, where one alone knows nothing of the others. */
export class Allowance {
  readonly #maxFlights: number;
  readonly #maxLoaded: number;
  /** the largest row that is brought back */
  readonly maxRow: number;
  readonly #landed: (bytes: number) => void;
  #flights = 0;
  #loaded = 0;
  #largeTaken = false;

  /**
   * @param flights for requests under way
   * @param loaded for parked deliveries that were brought back, of which one may be larger: up to `maxRow`
   * @param landed told of the body of each request that has come to its end
   */
  constructor(flights: number, loaded: number, maxRow: number, landed: (bytes: number) => void = () => undefined) {
    this.#landed = landed;
    this.#maxFlights = flights;
    this.#maxLoaded = loaded;
    this.maxRow = maxRow;
  }

  /** Whether an endpoint that has a request under way may have another. One each is always allowed, so none waits for the others. */
  get more(): boolean {
    return this.#flights < this.#maxFlights;
  }

  depart(body: number): void {
    this.#flights += REQUEST_BYTES + body;
  }

  arrive(body: number): void {
    this.#flights -= REQUEST_BYTES + body;
    this.#landed(body);
  }

  /** @returns how much may be loaded, and counts as loaded from now on; 0: nothing now */
  reserve(): number {
    const bytes = Math.min(LOAD_BYTES, this.#maxLoaded - this.#loaded);
    if (bytes <= 0) return 0;
    this.#loaded += bytes;
    return bytes;
  }

  giveBack(bytes: number): void {
    this.#loaded -= bytes;
  }

  /** Of rows larger than what can be reserved one is in memory at a time. */
  reserveLarge(): boolean {
    if (this.#largeTaken) return false;
    this.#largeTaken = true;
    return true;
  }

  giveBackLarge(): void {
    this.#largeTaken = false;
  }
}
