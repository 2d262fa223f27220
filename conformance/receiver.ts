import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isChallenge } from './challenges.js';
import { field, parseJson, text, type Json } from './json.js';
import type { Post } from './scenario.js';

/** One notification as it came; repeats of it (same path, same webhook-id) are left out. */
export interface Arrival {
  readonly path: string;
  readonly id: string;
  readonly body: Json;
}

type Answer = Post['answer'];

/** What the application holds of an endpoint of which no answer to a challenge was recorded. */
export type Believed = (path: string) => Promise<boolean>;

/** Every endpoint of a scenario, told apart by path. It gives the answers that were recorded. */
export class Receiver {
  readonly #server: Server;
  #arrivals: Arrival[] = [];
  readonly #seen = new Set<string>();
  #answers = new Map<string, Answer[]>();
  #challenges = new Map<string, Post[]>();
  /** null: every challenge is echoed, and none counts */
  readonly #believed: Believed | null;
  /** paths at which the application reached nobody */
  #unreachable: ReadonlySet<string> = new Set();

  private constructor(believed: Believed | null) {
    this.#believed = believed;
    this.#server = createServer((request, response) => {
      this.#receive(request, response).catch(() => response.destroy());
    });
  }

  static async listen(believed: Believed | null): Promise<Receiver> {
    const receiver = new Receiver(believed);
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
    this.#challenges = new Map();
    for (const post of posted) {
      const { path, body, answer } = post;
      if (isChallenge(body)) {
        this.#challenges.set(path, [...(this.#challenges.get(path) ?? []), post]);
        continue;
      }
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
    const path = request.url ?? '';
    const id = String(request.headers['webhook-id']);
    if (isChallenge(body)) {
      if (this.#believed !== null) this.#arrivals.push({ path, id, body });
      const { status, text: echo } = await this.#answerChallenge(path, text(field(body, 'challenge')) ?? '');
      if (status === null) response.destroy();
      else response.writeHead(status, { 'content-type': 'text/plain' }).end(echo);
      return;
    }
    const repeated = this.#seen.has(`${id} ${path}`);
    this.#seen.add(`${id} ${path}`);
    // The application never repeats a request; a repeat of ours is taken, so that the step comes to its end.
    const answer = repeated ? {} : this.#answer(path);
    if (!repeated) this.#arrivals.push({ path, id, body });
    if (answer.close === true) response.destroy();
    else response.writeHead(answer.status ?? 200).end();
  }

  /** As it was recorded, with the bridge's challenge in the place of the application's. Otherwise it is what the application believes. */
  async #answerChallenge(path: string, challenge: string): Promise<{ readonly status: number | null; readonly text: string }> {
    const posts = this.#challenges.get(path) ?? [];
    const post = posts.length > 1 ? posts.shift() : posts[0];
    if (post === undefined) {
      const echoes = this.#believed === null || (await this.#believed(path));
      return { status: 200, text: echoes ? challenge : 'not the challenge' };
    }
    const { status, close, body } = post.answer;
    const theirs = text(field(post.body, 'challenge')) ?? '';
    return { status: close === true ? null : (status ?? 200), text: theirs === '' ? (body ?? '') : (body ?? '').replaceAll(theirs, challenge) };
  }

  #answer(path: string): Answer {
    if (this.#unreachable.has(path)) return { close: true };
    const answers = this.#answers.get(path) ?? [];
    // The bridge sends fewer than the application; with one left it stands for all that follow.
    return (answers.length > 1 ? answers.shift() : answers[0]) ?? {};
  }
}
