import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { Pool, type Dispatcher } from 'undici';
import { errorCode, errorMessage } from '../errors.js';
import type { Outcome } from '../types.js';
import { Bag } from './bag.js';
import type { RequestBody } from './body.js';
import { EgressError, type Egress } from './egress.js';
import { IdleConnections } from './idle-connections.js';
import { classify } from './policy.js';

const BODY_LIMIT = 64 * 1024;

export interface Answer {
  readonly outcome: Outcome;
  /** the body's first 64 KiB, where it was asked for */
  readonly body: string;
}

export interface AttemptRequest {
  /** name, value, name, value … */
  readonly headers: string[];
  readonly body: RequestBody;
  readonly keepBody?: boolean;
}

/**
 * HTTP to one endpoint: a pool of connections with its own time-outs, redirects not followed. The pool is there while
 * something is under way, and for as long afterwards as its connections are kept.
 */
export class EndpointClient {
  readonly #origin: string;
  readonly #path: string;
  readonly #connections: number;
  readonly #egress: Egress;
  readonly #idle: IdleConnections;
  readonly #refusal: EgressError | null;
  readonly #timeoutMs: number;
  readonly #inFlight = new Bag<Exchange>();
  #pool: Pool | null = null;
  #sweeper: NodeJS.Timeout | null = null;
  restsSince = Number.NEGATIVE_INFINITY;
  restedFor = Number.POSITIVE_INFINITY;

  /**
   * @param idle which connections are kept; by default none
   * @throws {TypeError} when the endpoint is no URL
   */
  constructor(endpoint: string, connections: number, timeoutMs: number, egress: Egress, idle: IdleConnections = new IdleConnections(0)) {
    const url = new URL(endpoint);
    this.#origin = url.origin;
    this.#path = url.pathname + url.search;
    this.#connections = connections;
    this.#timeoutMs = timeoutMs;
    this.#egress = egress;
    this.#idle = idle;
    this.#refusal = refusalOf(egress, url.hostname);
  }

  /** Open ones. */
  get connections(): number {
    return this.#pool?.stats.connected ?? 0;
  }

  /** Calls `done` exactly once, later than this call returns. */
  send(request: AttemptRequest, done: (answer: Answer) => void): void {
    if (this.#refusal !== null) {
      const reason = this.#refusal.message;
      queueMicrotask(() => done({ outcome: { kind: 'failed', status: null, reason, retryAfterMs: null }, body: '' }));
      return;
    }
    const now = performance.now();
    if (this.#inFlight.size === 0) {
      this.restedFor = now - this.restsSince;
      this.#idle.remove(this);
    }
    const pool = (this.#pool ??= this.#open());
    const exchange = new Exchange(now + this.#timeoutMs, this.#timeoutMs, request.keepBody === true, this.#ended, done);
    this.#inFlight.add(exchange);
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(250, this.#timeoutMs / 4));
    const { parts, bytes } = request.body;
    const [whole] = parts;
    // In one piece as a rule, which is sent at once; pieces go the slower way of a stream.
    const pieces = parts.length > 1 || whole === undefined;
    const headers = pieces ? [...request.headers, 'content-length', String(bytes)] : request.headers;
    pool.dispatch({ path: this.#path, method: 'POST', headers, body: pieces ? Readable.from(parts) : whole }, exchange);
  }

  /** Takes nothing more and ends when what is under way has its outcome. */
  async retire(): Promise<void> {
    this.#idle.remove(this);
    await this.#pool?.close();
  }

  /** Its connections are not kept: the next request opens one. */
  rest(): void {
    const pool = this.#pool;
    this.#pool = null;
    pool?.close().catch(() => undefined);
  }

  /** Ends all connections; what is under way fails. */
  async destroy(): Promise<void> {
    this.#stopSweeper();
    this.#idle.remove(this);
    await this.#pool?.destroy();
  }

  #open(): Pool {
    const timeoutMs = this.#timeoutMs;
    return new Pool(this.#origin, {
      connections: this.#connections,
      pipelining: 1,
      connect: { lookup: this.#egress.lookup, timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      keepAliveTimeout: 4_000,
      // Where the receiver says that it keeps them for longer.
      keepAliveMaxTimeout: 60_000,
    });
  }

  readonly #ended = (exchange: Exchange): void => {
    this.#inFlight.delete(exchange);
    if (this.#inFlight.size > 0) return;
    this.restsSince = performance.now();
    this.#idle.add(this);
  };

  /** One timer for all: a timer or a signal per request halves the throughput. */
  #sweep(): void {
    const now = performance.now();
    for (const exchange of this.#inFlight.items()) if (exchange.deadline <= now) exchange.expire();
    if (this.#inFlight.size === 0) this.#stopSweeper();
  }

  #stopSweeper(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}

/** One request and its answer. The status decides; what the body does after it matters to nobody. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly deadline: number;
  /** in the bag */
  place = 0;
  readonly #timeoutMs: number;
  readonly #ended: (exchange: Exchange) => void;
  readonly #done: (answer: Answer) => void;
  readonly #chunks: Buffer[] | null;
  #controller: Dispatcher.DispatchController | null = null;
  #outcome: Outcome | null = null;
  #bytes = 0;
  #finished = false;

  constructor(deadline: number, timeoutMs: number, keepBody: boolean, ended: (exchange: Exchange) => void, done: (answer: Answer) => void) {
    this.deadline = deadline;
    this.#timeoutMs = timeoutMs;
    this.#chunks = keepBody ? [] : null;
    this.#ended = ended;
    this.#done = done;
  }

  expire(): void {
    const reason = `no complete answer within ${this.#timeoutMs} ms`;
    this.#finish(this.#outcome ?? { kind: 'failed', status: null, reason, retryAfterMs: null });
    this.#controller?.abort(new Error(reason));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It waited for a connection until its time was over: it must not be sent any more.
    if (this.#finished) controller.abort(new Error('expired'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // Informational answers (103 Early Hints) come before the real one.
    if (status >= 200) this.#outcome = classify(status, first(headers['retry-after']), Date.now());
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#chunks?.push(Buffer.from(chunk));
    if (this.#bytes <= BODY_LIMIT) return;
    if (this.#outcome !== null) this.#finish(this.#outcome);
    controller.abort(new Error('the answer is longer than 64 KiB'));
  }

  onResponseEnd(): void {
    this.#finish(this.#outcome ?? { kind: 'failed', status: null, reason: 'the answer ended without a status', retryAfterMs: null });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // The status was there; the connection broke in the body, which is discarded anyway.
    this.#finish(this.#outcome ?? { kind: 'failed', status: null, reason: describe(error), retryAfterMs: null });
  }

  #finish(outcome: Outcome): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#ended(this);
    const body = this.#chunks === null ? '' : Buffer.concat(this.#chunks).subarray(0, BODY_LIMIT).toString('utf8');
    this.#done({ outcome, body });
  }
}

/** A header that came twice: the first counts. The library's types do not know of that. */
function first(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'object' ? header[0] : header;
}

function refusalOf(egress: Egress, hostname: string): EgressError | null {
  try {
    egress.checkHost(hostname);
    return null;
  } catch (error) {
    if (error instanceof EgressError) return error;
    throw error;
  }
}

/** undici's and the system's codes in words; the message never holds more than the address. */
function describe(error: Error): string {
  const code = errorCode(error) ?? errorCode(error.cause);
  const text = errorMessage(error).replaceAll(/[\r\n]+/gu, ' ').slice(0, 300);
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}
