import { createServer } from 'node:http';
import type { Socket } from 'node:net';

/** Answers what is posted to /count…, and counts it; a challenge to /echo; never what is posted to /hang…; without end what is posted to /endless…. */
export class Receiver {
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const body: Buffer[] = [];
    if (request.url?.startsWith('/echo') === true) request.on('data', (chunk: Buffer) => body.push(chunk));
    else request.resume();
    request.once('end', () => {
      if (request.url?.startsWith('/hang') === true) return;
      if (request.url?.startsWith('/echo') === true) {
        const challenge = /"challenge":"(\w+)"/u.exec(Buffer.concat(body).toString())?.[1];
        response.end(challenge ?? '');
        return;
      }
      if (request.url?.startsWith('/endless') !== true) {
        response.end();
        this.#came();
        return;
      }
      const chunk = Buffer.alloc(16_384, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.writeHead(200).on('drain', more).on('close', () => this.#came());
      more();
    });
  });
  #count = 0;
  port = 0;

  async open(): Promise<void> {
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy()).once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => {
      this.#server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => resolve());
    });
    const address = this.#server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  forget(): void {
    this.#count = 0;
  }

  /** Resolves when so many have come since `forget`; an endless answer counts when it was cut off. */
  async received(count: number): Promise<void> {
    if (this.#count >= count) return;
    await new Promise<void>((resolve) => {
      this.#waiting.push({ count, resolve });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #came(): void {
    this.#count += 1;
    for (const waiter of this.#waiting) if (waiter.count === this.#count) waiter.resolve();
  }
}
