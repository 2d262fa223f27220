import { createHmac, createSecretKey } from 'node:crypto';
import pg from 'pg';
import { Pool, type Dispatcher } from 'undici';

/**
 * The ceiling of this design: rows decoded by hand, a body that is there already, undici's dispatch.
 * No net effect, no names, no signature, no order, no durability, nothing confirmed.
 *
 * CONTRACT: with what any sender of these notifications has to send: a body from the row, its headers, a signature.
 * VISIBLE: sends nothing before other sessions can see its commit.
 * ENDPOINTS: each row to so many.
 */
const { URL: url = '', SLOT: slot = '', PUBLICATION: publication = '', ENDPOINT: endpoint = '', BODY = 'ready' } = process.env;
const CONNECTIONS = Number(process.env['CONNECTIONS'] ?? 32);
const ENDPOINTS = Number(process.env['ENDPOINTS'] ?? 1);
const CONTRACT = process.env['CONTRACT'] === 'true';
const VISIBLE = process.env['VISIBLE'] === 'true';
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
const targets = Array.from({ length: ENDPOINTS }, (_target, index) => ({ pool: new Pool(origin, { connections: CONNECTIONS, pipelining: 1 }), path: ENDPOINTS === 1 ? pathname : `${pathname}/${index}` }));
const head = '{"token":"bench","type":"update_notification","channel":"00000000-0000-4000-8000-000000000001","chat_type":"default","update_type":"message_created","message":{"timestamp":"2018-10-16T17:23:49.000123Z","user":"USER1","content":';
const ready = Buffer.from(`${head}"A message as people write them, some words long."}}`);
const plain = ['content-type', 'application/json'];
const secret = createSecretKey(Buffer.alloc(24, 7));

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

function headersOf(lsn: bigint, body: Buffer): string[] {
  const text = lsn.toString(16).toUpperCase().padStart(16, '0');
  const id = `7000000000000000000-${text}-0`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest('base64');
  return [...plain, 'user-agent', 'slackchat-bridge/0.1.0', 'webhook-id', id, 'webhook-timestamp', timestamp, 'slackchat-commit-lsn', `${text.slice(0, 8)}/${text.slice(8)}`, 'webhook-signature', `v1,${signature}`];
}

function send(lsn: bigint, texts: readonly string[]): void {
  const body = BODY === 'ready' && !CONTRACT ? ready : Buffer.from(`${head}${JSON.stringify(texts[2])}}}`);
  for (const { pool, path } of targets) {
    pending += 1;
    pool.dispatch({ path, method: 'POST', headers: CONTRACT ? headersOf(lsn, body) : plain, body }, handler);
  }
  if (paused || pending < LIMIT) return;
  paused = true;
  connection.stream.pause();
}

/** What has come and may not be visible yet, with its transaction. */
let waiting: { readonly xid: number; readonly lsn: bigint; readonly texts: readonly string[] }[] = [];
let asking = false;
const other = new pg.Client({ connectionString: url });

/** As the bridge's own rule, with as little as can be: one round trip for all that has come. */
async function ask(): Promise<void> {
  asking = true;
  while (waiting.length > 0) {
    const batch = waiting;
    waiting = [];
    const xids = [...new Set(batch.map(({ xid }) => xid))];
    for (let seen = false; !seen; ) {
      const { rows } = await other.query<{ seen: boolean }>({ name: 'seen', text: 'SELECT bool_and(pg_visible_in_snapshot(x::text::xid8, pg_current_snapshot())) AS seen FROM unnest($1::bigint[]) x', values: [xids] });
      seen = rows[0]?.seen === true;
    }
    for (const { lsn, texts } of batch) send(lsn, texts);
  }
  asking = false;
}

let xid = 0;
let commit = 0n;
function onCopyData(chunk: Buffer): void {
  if (chunk[0] !== 0x77) return;
  if (chunk[25] === 0x42) {
    commit = chunk.readBigUInt64BE(26);
    xid = chunk.readUInt32BE(42);
  }
  if (chunk[25] !== 0x49) return;
  const texts = decode(chunk, 31);
  if (!VISIBLE) {
    send(commit, texts);
    return;
  }
  waiting.push({ xid, lsn: commit, texts });
  if (!asking) ask().catch(() => process.exit(1));
}

await client.connect();
if (VISIBLE) await other.connect();
connection.on('copyData', ({ chunk }) => onCopyData(chunk));
client.query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`).catch(() => process.exit(1));
setInterval(() => {
  const status = Buffer.alloc(34);
  status[0] = 0x72;
  connection.sendCopyFromChunk(status);
}, 75);
