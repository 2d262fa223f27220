import pg from 'pg';
import { Pool, type Dispatcher } from 'undici';

/**
 * The ceiling of this design: rows decoded by hand, a body that is there already, undici's dispatch.
 * No net effect, no names, no signature, no order, no durability, nothing confirmed.
 */
const { URL: url = '', SLOT: slot = '', PUBLICATION: publication = '', ENDPOINT: endpoint = '', BODY = 'ready' } = process.env;
const CONNECTIONS = Number(process.env['CONNECTIONS'] ?? 32);
const LIMIT = 2_000;

interface Copy {
  readonly stream: { pause(): void; resume(): void };
  on(event: 'copyData', listener: (message: { chunk: Buffer }) => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

const client = new pg.Client({ connectionString: url, replication: 'database' } as pg.ClientConfig);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's replication half has no types
const connection = (client as unknown as { connection: Copy }).connection;
const { origin, pathname } = new URL(endpoint);
const pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1 });
const head = '{"token":"bench","type":"update_notification","channel":"00000000-0000-4000-8000-000000000001","chat_type":"default","update_type":"message_created","message":{"timestamp":"2018-10-16T17:23:49.000123Z","user":"USER1","content":';
const ready = Buffer.from(`${head}"A message as people write them, some words long."}}`);
const headers = { 'content-type': 'application/json' };

let pending = 0;
let paused = false;
const handler: Dispatcher.DispatchHandler = {
  onRequestStart: () => undefined,
  onResponseStart: () => undefined,
  onResponseData: () => undefined,
  onResponseEnd: () => {
    pending -= 1;
    if (!paused || pending > LIMIT / 2) return;
    paused = false;
    connection.stream.resume();
  },
  onResponseError: (_controller, error) => {
    throw error;
  },
};

/** The columns' texts of an inserted row. */
function decode(data: Buffer, from: number): string[] {
  let at = from + 2;
  const texts: string[] = [];
  for (let column = data.readUInt16BE(from); column > 0; column -= 1) {
    if (data[at++] !== 0x74) continue;
    const end = at + 4 + data.readUInt32BE(at);
    texts.push(data.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}

function onCopyData(chunk: Buffer): void {
  if (chunk[0] !== 0x77 || chunk[25] !== 0x49) return;
  const texts = decode(chunk, 31);
  const body = BODY === 'ready' ? ready : `${head}${JSON.stringify(texts[2])}}}`;
  pending += 1;
  pool.dispatch({ path: pathname, method: 'POST', headers, body }, handler);
  if (paused || pending < LIMIT) return;
  paused = true;
  connection.stream.pause();
}

await client.connect();
connection.on('copyData', ({ chunk }) => onCopyData(chunk));
client.query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`).catch(() => process.exit(1));
setInterval(() => {
  const status = Buffer.alloc(34);
  status[0] = 0x72;
  connection.sendCopyFromChunk(status);
}, 75);
