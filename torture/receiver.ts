import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { listenOnFreePort } from '../test/support/port.js';
import { misbehave, type Manner } from './manners.js';
import type { Random } from './random.js';

const Body = z.looseObject({
  type: z.string().optional(),
  challenge: z.string().optional(),
  channel: z.string().optional(),
  chat_type: z.string().nullish(),
  update_type: z.string().optional(),
  message: z.looseObject({
    timestamp: z.string(),
    user: z.string().optional(),
    content: z.string().optional(),
    reactions: z.array(z.looseObject({ reaction: z.string() })).optional(),
    attachments: z.array(z.looseObject({ title: z.string().optional() })).optional(),
    args: z.array(z.string()).optional(),
    kwargs: z.record(z.string(), z.string()).optional(),
  }).optional(),
});
export type Told = z.infer<typeof Body>;

/** One request that came whole. */
export interface Request {
  readonly endpoint: string;
  readonly path: string;
  readonly id: string;
  /** null: not what a webhook sends */
  readonly body: Told | null;
  /** counts whatever happens at any receiver */
  readonly at: number;
  /** milliseconds since 1970 */
  readonly time: number;
  readonly manner: Manner;
  /** when a 2xx answer went out; null: none did */
  answeredAt: number | null;
}

export type ChallengeManner = 'echo' | 'hold' | 'refuse';

let count = 0;

/** One endpoint's receiver: keeps what came, and answers in the manner that it is told. */
export class Receiver {
  readonly name: string;
  readonly requests: Request[] = [];
  /** paths at which it echoed a challenge, each with when */
  readonly trusted = new Map<string, number>();
  readonly port: number;
  manner: Manner = 'well';
  challenges: ChallengeManner = 'echo';
  /** a challenge is being held */
  holding = 0;
  readonly #server: Server;
  readonly #random: Random;
  #closed = false;

  private constructor(name: string, server: Server, port: number, random: Random) {
    this.name = name;
    this.#server = server;
    this.port = port;
    this.#random = random;
  }

  static async listen(name: string, random: Random): Promise<Receiver> {
    const server = createServer({ keepAliveTimeout: 2_000 });
    const receiver = new Receiver(name, server, await listenOnFreePort(server), random);
    server.on('request', (request, response) => {
      receiver.#handle(request, response).catch(() => response.destroy());
    });
    server.on('clientError', (_error, socket) => socket.destroy());
    return receiver;
  }

  close(): void {
    this.#closed = true;
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = parseTold(Buffer.concat(chunks).toString('utf8'));
    const path = incoming.url ?? '';
    if (body?.type === 'url_verification') {
      await this.#answerChallenge(path, body.challenge ?? '', response);
      return;
    }
    const request: Request = {
      endpoint: this.name, path, id: String(incoming.headers['webhook-id'] ?? ''), body, at: (count += 1), time: Date.now(), manner: this.manner, answeredAt: null,
    };
    this.requests.push(request);
    const answered = (): void => {
      request.answeredAt ??= count += 1;
    };
    await misbehave(this.manner, { response, socket: incoming.socket, body, random: this.#random, answered, stopped: () => this.#closed || incoming.socket.destroyed });
  }

  async #answerChallenge(path: string, challenge: string, response: ServerResponse): Promise<void> {
    if (this.challenges === 'refuse') {
      response.writeHead(503).end();
      return;
    }
    this.holding += 1;
    const { socket } = response;
    while (this.challenges === 'hold' && !this.#closed && !isGone(socket)) await sleep(20);
    this.holding -= 1;
    this.trusted.set(path, this.trusted.get(path) ?? (count += 1));
    response.end(challenge);
  }
}

function isGone(socket: Socket | null): boolean {
  return socket === null || socket.destroyed;
}

/** @returns null for what no webhook sends */
export function parseTold(text: string): Told | null {
  try {
    return Body.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
