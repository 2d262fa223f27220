import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { field, parseJson, text, type Json } from './json.js';
import type { Post } from './scenario.js';

/** One notification as it came; repeats of it (same path, same webhook-id) are left out. */
export interface Arrival {
  readonly path: string;
  readonly id: string;
  readonly body: Json;
}

type Answer = Post['answer'];

/** Every endpoint of a scenario, told apart by path. It echoes challenges and gives the answers that were recorded. */
export class Receiver {
  readonly #server: Server;
  #arrivals: Arrival[] = [];
  readonly #seen = new Set<string>();
  #answers = new Map<string, Answer[]>();
  /** paths at which the application reached nobody */
  #unreachable: ReadonlySet<string> = new Set();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#receive(request, response).catch(() => response.destroy());
    });
  }

  static async listen(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve, reject) => {
      receiver.#server.once('error', reject);
      receiver.#server.listen(0, '127.0.0.1', () => resolve());
    });
    return receiver;
  }

  get origin(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  /** A step begins: these are the answers that its requests were given, in order for each path. */
  expect(posted: readonly Post[], unreachable: ReadonlySet<string>): void {
    this.#answers = new Map();
    for (const { path, body, answer } of posted) {
      if (field(body, 'type') === 'url_verification') continue;
      const answers = this.#answers.get(path) ?? [];
      answers.push(answer);
      this.#answers.set(path, answers);
    }
    this.#unreachable = unreachable;
  }

  /** What came since it was asked last, in order of arrival. */
  take(): readonly Arrival[] {
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    return arrivals;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = parseJson(Buffer.concat(chunks).toString('utf8'));
    if (field(body, 'type') === 'url_verification') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(text(field(body, 'challenge')));
      return;
    }
    const path = request.url ?? '';
    const id = String(request.headers['webhook-id']);
    const repeated = this.#seen.has(`${id} ${path}`);
    this.#seen.add(`${id} ${path}`);
    // The application never repeats a request; a repeat of ours is taken, so that the step comes to its end.
    const answer = repeated ? {} : this.#answer(path);
    if (!repeated) this.#arrivals.push({ path, id, body });
    if (answer.close === true) response.destroy();
    else response.writeHead(answer.status ?? 200).end();
  }

  #answer(path: string): Answer {
    if (this.#unreachable.has(path)) return { close: true };
    const answers = this.#answers.get(path) ?? [];
    // The bridge sends fewer than the application; with one left it stands for all that follow.
    return (answers.length > 1 ? answers.shift() : answers[0]) ?? {};
  }
}
