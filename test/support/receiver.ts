import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { listenOn, listenOnFreePort } from './port.js';

const Message = z.looseObject({
  timestamp: z.string().optional(),
  user: z.string().optional(),
  content: z.string().optional(),
  reactions: z.array(z.looseObject({ timestamp: z.string().optional(), reaction: z.string(), user: z.string().nullish() })).optional(),
  attachments: z.array(z.record(z.string(), z.unknown())).optional(),
  args: z.array(z.string()).optional(),
  kwargs: z.record(z.string(), z.unknown()).optional(),
});

const Body = z.looseObject({
  token: z.string().nullish(),
  type: z.string().optional(),
  challenge: z.string().optional(),
  channel: z.string().optional(),
  chat_type: z.string().nullish(),
  update_type: z.string().optional(),
  message: Message.optional(),
  channel_data: z.string().optional(),
});

export interface ReceivedRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** Empty when the body is not JSON or not what a webhook sends. */
  readonly body: z.infer<typeof Body>;
  readonly rawBody: string;
  /** performance.now() when the last byte of the body was there. */
  readonly receivedAt: number;
  /** 1 for the first request with this `webhook-id`, 2 for the next. */
  readonly attempt: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The answer is held back until then. */
  readonly delayUntil?: Promise<unknown>;
  /** The connection is broken off in place of an answer. */
  readonly destroy?: boolean;
}

export type Respond = (request: ReceivedRequest, attempt: number) => Answer;
export type Challenge = 'plain' | 'quoted' | 'json' | 'wrong' | ((request: ReceivedRequest) => Answer);

export interface ReceiverOptions {
  readonly challenge?: Challenge;
  readonly respond?: Respond;
}

export interface WaitOptions {
  /** So many requests must fulfil the predicate (1). */
  readonly count?: number;
  readonly timeoutMs?: number;
}

export interface Receiver {
  /** "http://127.0.0.1:12345/hook"; every path is answered. */
  readonly url: string;
  readonly port: number;
  /** All of them in order of arrival, challenges included. */
  readonly requests: readonly ReceivedRequest[];
  /** All but the challenges. */
  readonly notifications: readonly ReceivedRequest[];
  /** How many requests were unanswered at once, at the most. */
  readonly peakInFlight: number;
  respond: Respond;
  challenge: Challenge;
  /** The requests that fulfil the predicate, as soon as there are `count` of them; those that came before count as well. */
  waitFor(predicate: (request: ReceivedRequest) => boolean, options?: WaitOptions): Promise<ReceivedRequest[]>;
  waitForNotifications(count: number, options?: Omit<WaitOptions, 'count'>): Promise<ReceivedRequest[]>;
  /** Forgets what was recorded. */
  clear(): void;
  /** Connections are broken off and refused from now on. */
  stopListening(): Promise<void>;
  listenAgain(): Promise<void>;
  close(): Promise<void>;
}

const isChallenge = (request: ReceivedRequest): boolean => request.body.type === 'url_verification';

export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const attempts = new Map<string, number>();
  const waiting = new Set<() => void>();
  const state = { inFlight: 0, peak: 0 };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  const port = await listenOnFreePort(server);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    state.inFlight += 1;
    state.peak = Math.max(state.peak, state.inFlight);
    response.once('close', () => {
      state.inFlight -= 1;
    });
    const received = await record(request);
    const {
      status,
      headers = {},
      body = '',
      delayUntil,
      destroy = false,
    } = isChallenge(received) ? answerChallenge(receiver.challenge, received) : receiver.respond(received, received.attempt);
    await delayUntil;
    if (destroy) response.destroy();
    else response.writeHead(status, headers).end(body);
  }

  async function record(request: IncomingMessage): Promise<ReceivedRequest> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const rawBody = Buffer.concat(chunks).toString('utf8');
    const id = String(request.headers['webhook-id'] ?? '');
    const attempt = (attempts.get(id) ?? 0) + 1;
    if (id !== '') attempts.set(id, attempt);
    const received = {
      path: request.url ?? '',
      method: request.method ?? '',
      headers: request.headers,
      body: parse(rawBody),
      rawBody,
      receivedAt: performance.now(),
      attempt: id === '' ? 1 : attempt,
    };
    requests.push(received);
    for (const check of waiting) check();
    return received;
  }

  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    requests,
    get notifications() {
      return requests.filter((request) => !isChallenge(request));
    },
    get peakInFlight() {
      return state.peak;
    },
    respond: options.respond ?? (() => ({ status: 200 })),
    challenge: options.challenge ?? 'plain',
    waitFor: async (predicate, { count = 1, timeoutMs = 10_000 } = {}) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const found = requests.filter(predicate);
          if (found.length < count) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve(found);
        };
        const timer = setTimeout(() => {
          waiting.delete(check);
          const found = requests.filter(predicate).length;
          reject(new Error(`${found} of ${count} awaited requests came within ${timeoutMs} ms. What did come:${list(requests)}`));
        }, timeoutMs);
        waiting.add(check);
        check();
      }),
    waitForNotifications: async (count, waitOptions = {}) => receiver.waitFor((request) => !isChallenge(request), { ...waitOptions, count }),
    clear() {
      requests.length = 0;
      attempts.clear();
      state.peak = state.inFlight;
    },
    async stopListening() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    listenAgain: async () => listenOn(server, port),
    close: async () => receiver.stopListening(),
  };
  return receiver;
}

function answerChallenge(challenge: Challenge, request: ReceivedRequest): Answer {
  const value = request.body.challenge ?? '';
  if (typeof challenge === 'function') return challenge(request);
  switch (challenge) {
    case 'plain':
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: `${value}\n` };
    case 'quoted':
      return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
    case 'json':
      return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ challenge: value }) };
    case 'wrong':
    default:
      return { status: 200, body: 'something else' };
  }
}

function parse(rawBody: string): z.infer<typeof Body> {
  try {
    return Body.catch({}).parse(JSON.parse(rawBody));
  } catch {
    return {};
  }
}

/** The newest twenty, a line each. */
function list(requests: readonly ReceivedRequest[]): string {
  if (requests.length === 0) return ' nothing';
  const lines = requests.slice(-20).map(({ method, path, attempt, rawBody }) => `\n  ${method} ${path} (attempt ${attempt}) ${rawBody.slice(0, 300)}`);
  return `${requests.length > lines.length ? `\n  … ${requests.length - lines.length} before` : ''}${lines.join('')}`;
}
