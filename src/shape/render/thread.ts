import { Worker } from 'node:worker_threads';
import { BridgeError } from '../../errors.js';
import type { Rendered } from './templates.js';
import type { Request } from './worker.js';

/** A thread that has nothing to do for so long is ended: it takes 10 MB. */
const IDLE_MS = 10_000;
const HEAP_MB = 256;

interface Waiting {
  readonly request: Request;
  readonly resolve: (rendered: Rendered | null) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Renders in a thread beside, so that no text can keep the process from its other work, whatever it
 * is. One after the other, in order.
 */
export class RenderThread {
  readonly #file: URL;
  readonly #deadlineMs: number;
  #worker: Worker | null = null;
  #queue: Waiting[] = [];
  #current: Waiting | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /**
   * @param file worker.js, compiled
   * @param deadlineMs for one text; then its thread is ended
   */
  constructor(file: URL, deadlineMs: number) {
    this.#file = file;
    this.#deadlineMs = deadlineMs;
  }

  /** Rejects only when it is closed. @returns null when it took too long or too much memory */
  async render(request: Request): Promise<Rendered | null> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      if (this.#closed) this.close();
      else this.#next();
    });
  }

  /** What is under way or waits is not rendered: the process ends. */
  close(): void {
    this.#closed = true;
    const open = [...(this.#current === null ? [] : [this.#current]), ...this.#queue.splice(0)];
    this.#current = null;
    this.#end();
    for (const { reject } of open) reject(new BridgeError('the bridge is stopping'));
  }

  #next(): void {
    if (this.#current !== null) return;
    this.#setTimer(IDLE_MS);
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#current = next;
    this.#setTimer(this.#deadlineMs);
    const worker = (this.#worker ??= this.#begin());
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(next.request);
  }

  #begin(): Worker {
    const worker = new Worker(this.#file, { resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    worker.unref();
    worker.on('message', (rendered: Rendered) => this.#finished(rendered));
    const failed = (): void => {
      if (this.#worker === worker) this.#end();
    };
    // Out of memory, for instance.
    worker.on('error', failed);
    worker.on('exit', failed);
    return worker;
  }

  #finished(rendered: Rendered | null): void {
    const current = this.#current;
    this.#current = null;
    current?.resolve(rendered);
    this.#next();
  }

  /** Ends the thread; what it was at is given up, and another one goes on. */
  #end(): void {
    const worker = this.#worker;
    this.#worker = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    worker?.terminate().catch(() => undefined);
    if (this.#current !== null) this.#finished(null);
  }

  #setTimer(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(), ms);
    this.#timer.unref();
  }
}
