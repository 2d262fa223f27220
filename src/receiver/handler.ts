import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAX_BYTES, receiving, type HandlerOptions } from './receive.js';

/** Fastify's request and reply, as far as they are needed. */
export interface FastifyLikeRequest {
  readonly raw: IncomingMessage;
  readonly body: unknown;
}
export interface FastifyLikeReply {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(body: string): unknown;
}

/** One function for every kind of server. */
export interface Handler {
  /** web-standard: Hono, Next.js, Bun, Deno and others */
  (request: Request): Promise<Response>;
  /** node:http and Express */
  (request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Fastify */
  <Reply extends FastifyLikeReply>(request: FastifyLikeRequest, reply: Reply): Promise<Reply>;
}

/**
 * Answers challenges, refuses what others send, drops repeats, keeps the order, and calls your functions.
 *
 * Express, Fastify and the like must not parse the body before it: a signature is over the bytes.
 */
export function handler(options: HandlerOptions): Handler {
  const receive = receiving(options);
  const maxBytes = options.maxBytes ?? MAX_BYTES;

  async function web(request: Request): Promise<Response> {
    const body = await readChunks(request.body ?? [], Number(request.headers.get('content-length') ?? 0), maxBytes);
    const answer = await receive({ method: request.method, headers: request.headers, body });
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  }

  async function node(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given: unknown = 'body' in request ? request.body : undefined;
    let body: Uint8Array | object | null;
    try {
      body = given === undefined || !request.readableEnded ? await readRequest(request, maxBytes) : asBody(given, maxBytes);
    } catch {
      // The sender broke off: there is nobody to answer.
      response.destroy();
      return;
    }
    const answer = await receive({ method: request.method ?? '', headers: request.headers, body });
    // What is left of a body that is too large is not read.
    response.writeHead(answer.status, body === null ? { ...answer.headers, connection: 'close' } : { ...answer.headers }).end(answer.body);
  }

  async function fastify<Reply extends FastifyLikeReply>(request: FastifyLikeRequest, reply: Reply): Promise<Reply> {
    const { method = '', headers } = request.raw;
    const answer = await receive({ method, headers, body: asBody(request.body, maxBytes) });
    reply.code(answer.status);
    reply.headers({ ...answer.headers });
    reply.send(answer.body);
    // Fastify takes it for a sign that the answer was sent.
    return reply;
  }

  function any(request: Request): Promise<Response>;
  function any(request: IncomingMessage, response: ServerResponse): Promise<void>;
  function any<Reply extends FastifyLikeReply>(request: FastifyLikeRequest, reply: Reply): Promise<Reply>;
  function any(request: Request | IncomingMessage | FastifyLikeRequest, response?: ServerResponse | FastifyLikeReply): Promise<unknown> {
    if ('raw' in request && response !== undefined && 'code' in response) return fastify(request, response);
    if ('socket' in request && response !== undefined && 'writeHead' in response) return node(request, response);
    if ('arrayBuffer' in request) return web(request);
    throw new TypeError('the handler was called with something that is no request of node:http, Express, Fastify or the web');
  }
  return any;
}

/** What a body parser before the handler left. */
function asBody(body: unknown, maxBytes: number): Uint8Array | object | null {
  if (typeof body === 'string') return sized(Buffer.from(body), maxBytes);
  if (body instanceof Uint8Array) return sized(body, maxBytes);
  return typeof body === 'object' && body !== null ? body : new Uint8Array();
}

function sized(body: Uint8Array, maxBytes: number): Uint8Array | null {
  return body.length > maxBytes ? null : body;
}

function readRequest(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | null> {
  // Not destroyed when it is too large: the answer has to go out on the same connection.
  return readChunks(request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>, Number(request.headers['content-length'] ?? 0), maxBytes);
}

async function readChunks(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, announced: number, maxBytes: number): Promise<Uint8Array | null> {
  if (announced > maxBytes) return null;
  const read: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) return null;
    read.push(chunk);
  }
  return Buffer.concat(read);
}
