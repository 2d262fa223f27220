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

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return () => {
    if (typeof collect === 'function') Reflect.apply(collect, undefined, []);
  };
}
