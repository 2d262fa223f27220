import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenOn, listenOnFreePort } from './port.js';

/** A network that can be made to fail, in front of a port on 127.0.0.1. */
export interface TcpProxy {
  readonly port: number;
  /** Connections open at the moment. */
  readonly connections: number;
  /** Breaks every connection off; new ones are welcome. */
  cut(): void;
  /**
   * On: nothing passes in either direction, not even the end of a connection, and nobody is told, as when packets are
   * dropped. Off: what was held back arrives, as TCP would send it again. (A new connection is still accepted: by the proxy.)
   */
  blackhole(on: boolean): void;
  /** Holds every byte back for so long, in each direction. */
  delay(ms: number): void;
  /** On: breaks every connection off and refuses new ones. */
  refuse(on: boolean): Promise<void>;
  close(): Promise<void>;
}

const HIGH_WATER = 1024 * 1024;

/** What passes of one connection: takes what the target sent, gives what the client gets. */
export type Filter = (chunk: Buffer) => Buffer;

/** @param filter makes one for each connection, for what the target sends */
export async function startProxy(targetPort: number, filter: () => Filter = () => (chunk) => chunk): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const network = new Network();
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    forward(client, upstream, network, (chunk) => chunk);
    forward(upstream, client, network, filter());
  });
  const port = await listenOnFreePort(server);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };
  return {
    port,
    get connections() {
      return sockets.size / 2;
    },
    cut,
    blackhole: (on) => {
      network.blackhole(on);
    },
    delay: (ms) => {
      network.delayMs = ms;
    },
    refuse: async (on) => (on ? stop() : listenOn(server, port)),
    close: async () => {
      network.blackhole(false);
      await stop();
    },
  };
}

class Network {
  delayMs = 0;
  private open: Promise<void> = Promise.resolve();
  private reopen: (() => void) | undefined;

  blackhole(on: boolean): void {
    if (on && this.reopen === undefined)
      this.open = new Promise((resolve) => {
        this.reopen = resolve;
      });
    if (on) return;
    this.reopen?.();
    this.reopen = undefined;
  }

  /** Until what was sent at `sentAt` gets through. */
  async passage(sentAt: number): Promise<void> {
    const wait = sentAt + this.delayMs - performance.now();
    if (this.delayMs > 0 && wait > 0) await sleep(wait);
    await this.open;
  }
}

/** In order and without loss: whatever happens at one end takes the same way to the other. */
function forward(from: Socket, to: Socket, network: Network, filter: Filter): void {
  let last: Promise<void> = Promise.resolve();
  let held = 0;
  const inTurn = (act: () => void | Promise<void>): void => {
    const sentAt = performance.now();
    last = last
      .then(async () => network.passage(sentAt))
      .then(act)
      .catch(() => {
        to.destroy();
      });
  };
  from.on('data', (chunk: Buffer) => {
    held += chunk.length;
    if (held > HIGH_WATER) from.pause();
    const passed = filter(chunk);
    inTurn(async () => {
      if (!to.destroyed && !to.write(passed)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      held -= chunk.length;
      if (held <= HIGH_WATER) from.resume();
    });
  });
  from.on('end', () =>
    inTurn(() => {
      to.end();
    }),
  );
  from.on('error', () => undefined);
  from.on('close', () =>
    inTurn(() => {
      to.destroy();
    }),
  );
}
