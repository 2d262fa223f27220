import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { StatusError } from '../receiver/errors.js';
import type { Notification } from '../receiver/payloads.js';
import { receiving, type Context } from '../receiver/receive.js';
import type { Arrival } from './expectations.js';
import { Watch } from './watch.js';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A receiver as a renderer would have one, made of what the package gives to receivers, as `listen` is; it remembers what came. */
export class Receiver {
  readonly #server: Server;
  readonly #deal: ReturnType<typeof receiving>;
  readonly #arrivals: Arrival[] = [];
  /** by the headers of its request */
  readonly #arrivalOf = new WeakMap<object, Writable<Arrival>>();
  /** requests that get no answer */
  readonly #broken = new WeakSet<object>();
  readonly watch = new Watch();
  /** While true, everything is answered with 500. */
  failing = false;
  /** Which bridge process sends at the moment: 1, 2, … */
  run = 0;
  /** The answer waits for it; false: there is none, the connection breaks. */
  beforeAnswer: (arrival: Arrival) => Promise<boolean> = () => Promise.resolve(true);
  onAccepted: (arrival: Arrival) => void = () => undefined;

  private constructor(token: string, secret: string) {
    // What comes again is to be seen here.
    const seen = { has: () => false, add: () => undefined };
    // Told of what was thrown, which is meant here: otherwise it is a warning of the process.
    const onResult = (): void => undefined;
    this.#deal = receiving({ token, secret, seen, onResult, onNotification: (payload, context) => this.#work(payload, context) });
    this.#server = createServer((incoming, response) => {
      this.#receive(incoming, response).catch(() => response.destroy());
    });
  }

  static async listen(token: string, secret: string): Promise<Receiver> {
    const receiver = new Receiver(token, secret);
    await new Promise<void>((resolve, reject) => {
      receiver.#server.once('error', reject);
      receiver.#server.listen(0, '127.0.0.1', () => resolve());
    });
    return receiver;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/hook`;
  }

  /** In order of arrival, repeats and refused ones included; the challenge is not among them. */
  get arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async #receive(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers, method = '' } = incoming;
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const answer = await this.#deal({ method, headers, body: Buffer.concat(chunks) });
    const arrival = this.#arrivalOf.get(headers);
    if (this.#broken.has(headers)) {
      response.destroy();
    } else {
      response.writeHead(answer.status, answer.headers).end(answer.body);
      if (arrival !== undefined) arrival.status = answer.status;
      // Refused before anything was known of it.
      else if (answer.status !== 200) this.#arrivals.push({ id: String(headers['webhook-id']), body: {}, receivedAt: performance.now(), run: this.run, status: answer.status });
      if (arrival !== undefined && answer.status === 200) this.onAccepted(arrival);
    }
    this.watch.notify();
  }

  async #work({ token: _token, ...body }: Notification, { id, headers }: Context): Promise<void> {
    const arrival = { id: id ?? '', body, receivedAt: performance.now(), run: this.run, status: 0 };
    this.#arrivals.push(arrival);
    this.#arrivalOf.set(headers, arrival);
    const { failing } = this;
    if (!(await this.beforeAnswer(arrival))) this.#broken.add(headers);
    if (failing) throw new StatusError(500, 'failing, as the story has it');
  }
}
