import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export interface AdminSources {
  /** null: ready; otherwise why not */
  notReady(): string | null;
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  status(): unknown;
}

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  /** asked for by /metrics and /api; health checks need none */
  readonly token: string | null;
}

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
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    reply(response, 405, 'text/plain', 'only GET\n');
    return;
  }
  const path = (request.url ?? '/').split('?')[0];
  if (path === '/healthz') {
    reply(response, 200, 'text/plain', 'alive\n');
  } else if (path === '/readyz') {
    const reason = sources.notReady();
    reply(response, reason === null ? 200 : 503, 'text/plain', `${reason ?? 'ready'}\n`);
  } else if (options.token !== null && !holdsToken(request, options.token)) {
    response.setHeader('www-authenticate', 'Bearer');
    reply(response, 401, 'text/plain', 'the ADMIN_TOKEN is needed as a bearer token\n');
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
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  response.end(text);
}

/** Hashed first, so that neither the content nor the length shows in the time that it takes. */
function holdsToken(request: IncomingMessage, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(request.headers.authorization ?? ''), digest(`Bearer ${token}`));
}
