import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { refusalOf, SECURITY_HEADERS } from './guard.js';

export interface AdminSources {
  /** null: ready; otherwise why not */
  notReady(): string | null;
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  status(): unknown;
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

/** Health, readiness, metrics and status over HTTP. Nothing here changes anything. */
export class AdminServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws the system's error when the port cannot be had */
  static async listen(options: AdminOptions, sources: AdminSources): Promise<AdminServer> {
    const server = createServer((request, response) => {
      answer(request, response, options, sources).catch(() => {
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
    return new AdminServer(server);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, options: AdminOptions, sources: AdminSources): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const refusal = refusalOf(request, options, OPEN.has(path));
  if (refusal !== null) {
    for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
    reply(response, refusal.status, 'text/plain', `${refusal.reason}\n`);
  } else if (path === '/healthz') {
    reply(response, 200, 'text/plain', 'alive\n');
  } else if (path === '/readyz') {
    const reason = sources.notReady();
    reply(response, reason === null ? 200 : 503, 'text/plain', `${reason ?? 'ready'}\n`);
  } else if (path === '/metrics') {
    const { type, text } = await sources.metrics();
    reply(response, 200, type, text);
  } else if (path === '/api/status') {
    reply(response, 200, 'application/json', `${JSON.stringify(sources.status())}\n`);
  } else {
    reply(response, 404, 'text/plain', 'there are /healthz, /readyz, /metrics and /api/status\n');
  }
}

function reply(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { ...SECURITY_HEADERS, 'content-type': type });
  response.end(text);
}
