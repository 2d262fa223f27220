import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:net';

/**
 * Listens on 127.0.0.1, on a port below those that systems take for outgoing connections: a server that stops and listens
 * again on its port still finds it free.
 */
export async function listenOnFreePort(server: Server): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = randomInt(10_000, 20_000);
    try {
      await listenOn(server, port);
      return port;
    } catch (error) {
      if (attempt === 50) throw error;
    }
  }
}

export async function listenOn(server: Server, port: number): Promise<void> {
  const listening = once(server, 'listening');
  server.listen({ port, host: '127.0.0.1', exclusive: true });
  await listening;
}
