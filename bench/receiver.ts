import { createServer, type Socket } from 'node:net';

/**
 * The receiver that is measured against: as little HTTP as can be, so that it is never what is
 * measured. Counts what comes to a path that begins with /count; /hang is never answered.
 */
interface Order {
  readonly expect: number;
  /** what comes before is not measured */
  readonly from: number;
  readonly delayMs: number;
  /** notes when each message came whose text holds '#number#' */
  readonly note: boolean;
}

const OK = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
const LENGTH = Buffer.from('content-length: ');
const HEAD_END = Buffer.from('\r\n\r\n');
let order: Order = { expect: 0, from: 1, delayMs: 0, note: false };
let count = 0;
let firstAt = 0;
let arrivals = new Float64Array(0);

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

function take(data: Buffer, body: number, end: number): void {
  count += 1;
  if (count === order.from) {
    firstAt = now();
    process.send?.({ first: true });
  }
  if (order.note) {
    const start = data.indexOf(0x23, body);
    const index = start < 0 || start >= end ? -1 : Number.parseInt(data.toString('latin1', start + 1, Math.min(end, start + 12)), 10);
    if (index >= 0 && arrivals[index] === 0) arrivals[index] = now();
  }
  if (count === order.expect) process.send?.({ done: { ms: now() - firstAt, arrivals: order.note ? [...arrivals] : [] } });
}

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  let rest: Buffer | null = null;
  const answer = (): void => {
    if (socket.writable) socket.write(OK);
  };
  socket.on('data', (chunk) => {
    const data: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (;;) {
      const head = data.indexOf(HEAD_END, from);
      if (head < 0) break;
      const length = data.indexOf(LENGTH, from);
      const body = head + HEAD_END.length;
      const end = body + Number.parseInt(data.toString('latin1', length + LENGTH.length, length + LENGTH.length + 9), 10);
      if (data.length < end) break;
      // 'POST /c…', 'POST /h…'
      const path = data[from + 6];
      if (path === 0x63) take(data, body, end);
      if (path !== 0x68) {
        if (order.delayMs === 0) answer();
        else setTimeout(answer, order.delayMs);
      }
      from = end;
    }
    rest = from === data.length ? null : data.subarray(from);
  });
}

process.on('message', (message: Order) => {
  if (typeof message !== 'object') return;
  order = message;
  count = 0;
  arrivals = new Float64Array(order.note ? order.expect : 0);
  process.send?.({ ready: true });
});

const server = createServer(serve);
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
