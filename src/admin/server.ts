import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { actionOf, carryOut, type Perform } from './actions.js';
import { readAssets, type Asset } from './assets.js';
import { refusalOf, SECURITY_HEADERS, type Access } from './guard.js';
import type { Live } from './live.js';

export interface AdminSources {
  /** null: ready; otherwise why not */
  notReady(): string | null;
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  status(): unknown;
}

/** The status page: what it shows, and what it can ask for. */
export interface StatusPage {
  readonly live: Live;
  readonly perform: Perform;
}

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  /** `host` is one of this machine's own */
  readonly loopback: boolean;
  /** asked for by /metrics and /api; health checks need none */
  readonly token: string | null;
}

/** Needed by what has no token: a container's or a load balancer's health check. */
const OPEN: ReadonlySet<string> = new Set(['/healthz', '/readyz']);
const MAX_CONNECTIONS = 256;

/** Health, readiness, metrics, status and the status page over HTTP. Nothing is changed here but by a POST to one of the actions. */
export class AdminServer {
  readonly #server: Server;
  readonly #live: Live;

  private constructor(server: Server, live: Live) {
    this.#server = server;
    this.#live = live;
  }

  /** @throws the system's error when the port cannot be had */
  static async listen(options: AdminOptions, sources: AdminSources, page: StatusPage): Promise<AdminServer> {
    const assets = readAssets();
    const server = createServer((request, response) => {
      answer(request, response, { options, sources, page, assets }).catch(() => {
        if (!response.headersSent) reply(response, 500, 'text/plain', 'error\n');
        response.end();
      });
    });
    server.headersTimeout = 5_000;
    server.requestTimeout = 10_000;
    server.maxConnections = MAX_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, () => resolve());
    });
    return new AdminServer(server, page.live);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    this.#live.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

interface Answering {
  readonly options: AdminOptions;
  readonly sources: AdminSources;
  readonly page: StatusPage;
  readonly assets: ReadonlyMap<string, Asset>;
}

async function answer(request: IncomingMessage, response: ServerResponse, { options, sources, page, assets }: Answering): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const asset = assets.get(path);
  const action = actionOf(path);
  const access: Access = asset !== undefined || OPEN.has(path) ? 'open' : action === null ? 'read' : 'change';
  const refusal = refusalOf(request, options, access);
  // No request has a body that matters.
  request.resume();
  if (refusal !== null) {
    for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
    reply(response, refusal.status, 'text/plain', `${refusal.reason}\n`);
  } else if (asset !== undefined) {
    reply(response, 200, asset.type, asset.body);
  } else if (action !== null) {
    const { status, body } = await carryOut(action, page.perform);
    page.live.refresh();
    json(response, status, body);
  } else if (path === '/healthz') {
    reply(response, 200, 'text/plain', 'alive\n');
  } else if (path === '/readyz') {
    const reason = sources.notReady();
    reply(response, reason === null ? 200 : 503, 'text/plain', `${reason ?? 'ready'}\n`);
  } else if (path === '/metrics') {
    const { type, text } = await sources.metrics();
    reply(response, 200, type, text);
  } else if (path === '/api/status') {
    json(response, 200, sources.status());
  } else if (path === '/api/events' && request.method === 'GET') {
    if (!page.live.attach(response)) reply(response, 503, 'text/plain', 'too many look at the status page already\n');
  } else {
    reply(response, 404, 'text/plain', 'there are /, /healthz, /readyz, /metrics, /api/status and /api/events\n');
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  reply(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

function reply(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { ...SECURITY_HEADERS, 'content-type': type });
  response.end(body);
}
