import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.js';
import type { Told } from './receiver.js';

/** How a receiver answers. */
export const MANNERS = [
  'well', 'slow', 'error', 'flaky', 'busy', 'unavailable', 'gone', 'hang', 'reset', 'drip', 'trickle', 'endless', 'endless-error', 'huge', 'broken', 'early-hints', 'redirect', 'short', 'poison', 'mixed',
] as const;
export type Manner = (typeof MANNERS)[number];

export interface Answering {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly body: Told | null;
  readonly random: Random;
  /** to be called when a 2xx answer is out as far as its status and headers go */
  readonly answered: () => void;
  readonly stopped: () => boolean;
}

const CHUNK = Buffer.alloc(16 * 1024, 0x78);

const byManner: Readonly<Record<Exclude<Manner, 'mixed' | 'flaky' | 'poison'>, (answering: Answering) => void | Promise<void>>> = {
  well: well,
  async slow(answering) {
    await sleep(answering.random.integer(50, 700));
    well(answering);
  },
  error: ({ response }) => status(response, 500),
  busy: ({ response }) => status(response, 429, { 'retry-after': '1' }),
  unavailable: ({ response }) => status(response, 503, { 'retry-after': new Date(Date.now() + 1_500).toUTCString() }),
  gone: ({ response }) => status(response, 410),
  async hang({ stopped }) {
    while (!stopped()) await sleep(50);
  },
  reset({ socket }) {
    socket.resetAndDestroy();
  },
  /** byte by byte, in time */
  drip: (answering) => byteByByte(answering, 4),
  /** byte by byte, too slowly */
  trickle: (answering) => byteByByte(answering, 60),
  async endless(answering) {
    answering.response.writeHead(200);
    answering.response.write('x');
    answering.answered();
    await pour(answering, Number.POSITIVE_INFINITY);
  },
  async 'endless-error'(answering) {
    answering.response.writeHead(500);
    await pour(answering, Number.POSITIVE_INFINITY);
  },
  async huge(answering) {
    answering.response.writeHead(200);
    answering.response.write('x');
    answering.answered();
    await pour(answering, 64);
    answering.response.end();
  },
  broken({ socket, random }) {
    socket.end(random.pick(['HTTP/1.1 banana\r\n\r\n', '\0\0\0\0\r\n\r\n', 'HTTP/1.1 500 No\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabc', 'HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n', 'HTTP/9.9']));
  },
  'early-hints': (answering) => {
    answering.response.writeEarlyHints({ link: '</x>; rel=preload' });
    well(answering);
  },
  redirect: ({ response }) => status(response, 307, { location: '/elsewhere' }),
  short({ socket, answered }) {
    answered();
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all of it');
  },
};

export async function misbehave(manner: Manner, answering: Answering): Promise<void> {
  const { random, body } = answering;
  if (manner === 'mixed') {
    await misbehave(random.pick(MANNERS.filter((one) => one !== 'mixed' && one !== 'gone')), answering);
  } else if (manner === 'flaky') {
    await byManner[random.chance(0.5) ? 'error' : 'well'](answering);
  } else if (manner === 'poison') {
    // Some messages are never taken, the others always are.
    await byManner[(body?.message?.timestamp ?? '').endsWith('3Z') ? 'error' : 'well'](answering);
  } else {
    await byManner[manner](answering);
  }
}

function well({ response, answered }: Answering): void {
  response.writeHead(200).end('ok');
  answered();
}

function status(response: ServerResponse, code: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(code, headers).end('no');
}

async function byteByByte({ socket, stopped, answered }: Answering, pauseMs: number): Promise<void> {
  for (const byte of 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r') {
    if (stopped()) return;
    socket.write(byte);
    await sleep(pauseMs);
  }
  answered();
  socket.end('\n');
}

async function pour({ response, stopped }: Answering, chunks: number): Promise<void> {
  for (let poured = 0; poured < chunks && !stopped(); poured += 1) {
    response.write(CHUNK);
    await sleep(2);
  }
}
