import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { verifySignature } from '../receiver/verify.js';
import type { Arrival } from './expectations.js';
import { Watch } from './watch.js';

const request = z.looseObject({ token: z.string(), type: z.string(), challenge: z.string().optional() });
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A receiver as a renderer would have one: a plain HTTP server that checks who sends, and remembers what came. */
export class Receiver {
  readonly #server: Server;
  readonly #token: string;
  readonly #secret: string;
  readonly #arrivals: Arrival[] = [];
  readonly watch = new Watch();
  /** While true, everything is answered with 500. */
  failing = false;
  /** Which bridge process sends at the moment: 1, 2, … */
  run = 0;
  /** The answer waits for it; false: there is none, the connection breaks. */
  beforeAnswer: (arrival: Arrival) => Promise<boolean> = () => Promise.resolve(true);
  onAccepted: (arrival: Arrival) => void = () => undefined;

  private constructor(token: string, secret: string) {
    this.#token = token;
    this.#secret = secret;
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
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const receivedAt = performance.now();
    const raw = Buffer.concat(chunks);
    const { token, challenge, ...body } = request.parse(JSON.parse(raw.toString('utf8')));
    if (body.type === 'url_verification') {
      response.writeHead(token === this.#token ? 200 : 403, { 'content-type': 'text/plain' }).end(challenge);
      return;
    }
    const header = (name: string): string => String(incoming.headers[name] ?? '');
    const signed = { 'webhook-id': header('webhook-id'), 'webhook-timestamp': header('webhook-timestamp'), 'webhook-signature': header('webhook-signature') };
    const fault = token === this.#token ? verifySignature(signed, raw, this.#secret, new Date()) : 'the token is wrong';
    const arrival: Writable<Arrival> = { id: signed['webhook-id'], body, receivedAt, run: this.run, status: 0 };
    this.#arrivals.push(arrival);
    const status = fault !== null ? 403 : this.failing ? 500 : 200;
    if (await this.beforeAnswer(arrival)) {
      response.writeHead(status).end(fault ?? '');
      arrival.status = status;
      if (status === 200) this.onAccepted(arrival);
    } else {
      response.destroy();
    }
    this.watch.notify();
  }
}
