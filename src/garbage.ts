import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Smaller texts are collected by themselves in time. */
const LARGE_BYTES = 256 * 1024;

/**
 * The collector comes when it likes, and on a busy machine late: it let half a gigabyte of texts of 10
 * MB pile up beside 60 MB that were in use. So it is called when as much of large texts has been let go
 * of as may be in memory; it does not look into them, and takes some tens of milliseconds.
 */
export class Garbage {
  readonly #every: number;
  readonly #collect: () => void;
  #bytes = 0;
  #due: NodeJS.Immediate | null = null;

  /** @param every so many bytes */
  constructor(every: number, collect: () => void = collector()) {
    this.#every = every;
    this.#collect = collect;
  }

  /** A text is let go of, here or by who called. */
  add(bytes: number): void {
    if (bytes < LARGE_BYTES) return;
    this.#bytes += bytes;
    if (this.#bytes < this.#every || this.#due !== null) return;
    this.#due = setImmediate(() => {
      this.#due = null;
      this.#bytes = 0;
      this.#collect();
    });
  }
}

const LOOK_MS = 500;
/** Of what was in use after the last collection: so much more, and the next one comes. */
const PRESSED_PERCENT = 20;
/** So long it must have had no more than it should. Collected a moment ago, it has less for the moment. */
const CALM_MS = 60_000;

/**
 * The collector lets a process grow to several times of what is in use, where the machine has memory: the connections
 * of thousands of endpoints, opened and closed, came to half a gigabyte beside 120 MB in use. While the process has more
 * than it should, the collector comes sooner.
 */
export class Pressure {
  readonly #bytes: number;
  readonly #resident: () => number;
  readonly #grow: (percent: number) => void;
  readonly #collect: () => void;
  #timer: NodeJS.Timeout | null = null;
  #pressed = false;
  #overAt = 0;

  /**
   * @param bytes so much it should have
   * @param grow sets by how much the heap may grow before it is collected; 0: as V8 thinks best
   */
  constructor(bytes: number, resident = (): number => process.memoryUsage.rss(), grow = (percent: number): void => setFlagsFromString(`--heap-growing-percent=${percent}`), collect = collector()) {
    this.#bytes = bytes;
    this.#resident = resident;
    this.#grow = grow;
    this.#collect = collect;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  look(now = performance.now()): void {
    if (this.#resident() > this.#bytes) {
      this.#overAt = now;
      if (this.#pressed) return;
      this.#pressed = true;
      this.#grow(PRESSED_PERCENT);
      // By how much it may grow now was decided at the last collection.
      this.#collect();
    } else if (this.#pressed && now - this.#overAt > CALM_MS) {
      this.#pressed = false;
      this.#grow(0);
    }
  }
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return () => {
    if (typeof collect === 'function') Reflect.apply(collect, undefined, []);
  };
}
