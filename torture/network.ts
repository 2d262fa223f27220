import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenOnFreePort } from '../test/support/port.js';

const HIGH_WATER = 256 * 1024;

/**
 * A network between the bridge and one port that can be made to fail. What a side had sent before it closed is not
 * delivered any more: a real network may do that too, and then even a request of a process that is dead can arrive last.
 */
export class Network {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly port: number;
  delayMs = 0;
  #held: Promise<void> = Promise.resolve();
  #release: (() => void) | null = null;
  #silenced: Promise<void> = Promise.resolve();
  #speak: (() => void) | null = null;
  #refusing = false;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async to(targetPort: number): Promise<Network> {
    const server = createServer({ allowHalfOpen: true });
    const network = new Network(server, await listenOnFreePort(server));
    server.on('connection', (client) => network.#join(client, targetPort));
    return network;
  }

  /** Breaks off every connection, or as many as chosen. */
  cut(chosen: () => boolean = () => true): void {
    for (const link of this.#links) if (chosen()) link.cut();
  }

  /** Ends one direction of every connection; the other goes on. */
  halfClose(towards: 'client' | 'server'): void {
    for (const link of this.#links) link.halfClose(towards);
  }

  /** Nothing passes and nobody is told. Off: what was held arrives, if it is still wanted. */
  blackhole(on: boolean): void {
    if (on) this.#release ??= this.#hold((held) => { this.#held = held; });
    else {
      this.#release?.();
      this.#release = null;
    }
  }

  /** What the clients of replication connections say is held back; what the server says passes. */
  silenceReplication(on: boolean): void {
    if (on) this.#speak ??= this.#hold((held) => { this.#silenced = held; });
    else {
      this.#speak?.();
      this.#speak = null;
    }
  }

  refuse(on: boolean): void {
    this.#refusing = on;
    if (on) this.cut();
  }

  /** Everything passes again. */
  mend(): void {
    this.delayMs = 0;
    this.#refusing = false;
    this.blackhole(false);
    this.silenceReplication(false);
  }

  close(): void {
    this.mend();
    this.#server.close();
    this.cut();
  }

  async passage(sentAt: number, silenceable: boolean): Promise<void> {
    const wait = sentAt + this.delayMs - performance.now();
    if (this.delayMs > 0 && wait > 0) await sleep(wait);
    await this.#held;
    if (silenceable) await this.#silenced;
  }

  #hold(set: (held: Promise<void>) => void): () => void {
    let release: (() => void) | null = null;
    set(new Promise((resolve) => {
      release = resolve;
    }));
    return () => release?.();
  }

  #join(client: Socket, targetPort: number): void {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const link = new Link(this, client, connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true }));
    this.#links.add(link);
    client.once('close', () => this.#links.delete(link));
  }
}

class Link {
  readonly #network: Network;
  readonly #client: Socket;
  readonly #upstream: Socket;
  /** a walsender's; known from its first bytes */
  #replication = false;

  constructor(network: Network, client: Socket, upstream: Socket) {
    this.#network = network;
    this.#client = client;
    this.#upstream = upstream;
    client.once('data', (chunk) => this.#look(chunk));
    for (const socket of [client, upstream]) socket.setNoDelay(true);
    this.#forward(client, upstream, () => this.#replication);
    this.#forward(upstream, client, () => false);
  }

  cut(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  halfClose(towards: 'client' | 'server'): void {
    (towards === 'client' ? this.#client : this.#upstream).end();
  }

  #look(chunk: Buffer): void {
    this.#replication ||= chunk.subarray(0, 1024).includes('replication\0');
  }

  #forward(from: Socket, to: Socket, silenceable: () => boolean): void {
    let last: Promise<void> = Promise.resolve();
    let held = 0;
    const inTurn = (act: () => void | Promise<void>): void => {
      const sentAt = performance.now();
      last = last.then(() => this.#network.passage(sentAt, silenceable())).then(act).catch(() => this.cut());
    };
    from.on('data', (chunk: Buffer) => {
      held += chunk.length;
      if (held > HIGH_WATER) from.pause();
      inTurn(async () => {
        if (from.destroyed && from === this.#client) return;
        if (!to.destroyed && to.writable && !to.write(chunk)) await drained(to);
        held -= chunk.length;
        if (held <= HIGH_WATER) from.resume();
      });
    });
    from.on('end', () => inTurn(() => {
      to.end();
    }));
    from.on('error', () => undefined);
    from.on('close', () => {
      // A client that is gone sends nothing any more; what a server had answered may still arrive.
      if (from === this.#client) to.destroy();
      else inTurn(() => {
        to.destroy();
      });
    });
  }
}

/** Or closed. */
async function drained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
