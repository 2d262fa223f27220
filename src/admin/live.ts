import type { ServerResponse } from 'node:http';
import { errorMessage } from '../errors.js';
import { viewEndpoint, type DeadLetter, type EndpointRow, type Status } from '../status.js';
import { delay } from '../time.js';
import { SPAN_MS, SPANS, type Activity } from './activity.js';
import type { LiveEvents, LiveSpans, LiveStatus } from './events.js';
import { SECURITY_HEADERS } from './guard.js';

/** What of the database is shown. */
export interface Rows {
  readonly endpoints: readonly EndpointRow[];
  readonly dead: readonly DeadLetter[];
}

export interface LiveSources {
  status(): Status;
  rows(): Promise<Rows>;
  readonly activity: Pick<Activity, 'since' | 'spans'>;
}

type Common = readonly (readonly [keyof LiveEvents, string])[];

interface Client {
  readonly response: ServerResponse;
  /** of each kind of event what was sent last */
  readonly sent: Map<string, string>;
  attemptSeq: number;
  spanIndex: number;
}

const TICK_MS = 1_000;
const ROWS_MS = 1_000;
const ROWS_MAX_MS = 60_000;
/** Counting many parked rows takes long: the database is kept busy for a twentieth of the time at the most. */
const REST = 19;
const MAX_CLIENTS = 16;
/** One that does not read: it is cut off, and may come again. */
const UNREAD_BYTES = 2 * 1024 * 1024;

/**
 * The status page's server-sent events (`events.ts` has what they hold). Does nothing while nobody
 * looks; however many look, the database is asked once.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class Live {
  readonly #sources: LiveSources;
  readonly #clients = new Set<Client>();
  #timer: NodeJS.Timeout | null = null;
  #asking = false;
  #wake = new AbortController();
  #rows: Rows | null = null;
  #fault: string | null = null;

  constructor(sources: LiveSources) {
    this.#sources = sources;
  }

  /** @returns false when too many look already */
  attach(response: ServerResponse): boolean {
    if (this.#clients.size >= MAX_CLIENTS) return false;
    response.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'text/event-stream' });
    const client: Client = { response, sent: new Map(), attemptSeq: 0, spanIndex: 0 };
    this.#clients.add(client);
    response.once('close', () => this.#detach(client));
    // What is known of the database was asked for when somebody looked last.
    if (this.#clients.size === 1) this.#rows = null;
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
    const now = Date.now();
    this.#tell(client, this.#common(now), now);
    this.refresh();
    this.#ask().catch(() => response.destroy());
    return true;
  }

  /** Something was changed on purpose: asks the database at once. */
  refresh(): void {
    this.#wake.abort();
  }

  close(): void {
    for (const client of this.#clients) client.response.end();
    this.#clients.clear();
    this.#stop();
  }

  #detach(client: Client): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) this.#stop();
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#rows = null;
    this.refresh();
  }

  /** Asks the database while somebody looks. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      while (this.#clients.size > 0) {
        this.#wake = new AbortController();
        const began = performance.now();
        try {
          this.#rows = await this.#sources.rows();
          this.#fault = null;
        } catch (error) {
          this.#fault = errorMessage(error);
        }
        this.#tick();
        await delay(Math.min(ROWS_MAX_MS, Math.max(ROWS_MS, REST * (performance.now() - began))), this.#wake.signal);
      }
    } finally {
      this.#asking = false;
    }
  }

  #tick(): void {
    const now = Date.now();
    const common = this.#common(now);
    for (const client of this.#clients) this.#tell(client, common, now);
  }

  /** What all are told the same of. */
  #common(now: number): Common {
    const { endpoints: live, ...status } = this.#sources.status();
    const rows = this.#rows;
    const counted = (of: 'waiting' | 'dead'): number | null => rows?.endpoints.reduce((total, row) => total + row[of], 0) ?? null;
    const shown: LiveStatus = {
      ...status, at: now, databaseFault: this.#fault, inFlight: live.reduce((total, endpoint) => total + endpoint.inFlight, 0), waiting: counted('waiting'), dead: counted('dead'),
    };
    if (rows === null) return [['status', JSON.stringify(shown)]];
    const byId = new Map(live.map((endpoint) => [endpoint.id, endpoint]));
    const endpoints: LiveEvents['endpoints'] = rows.endpoints.map((row) => viewEndpoint(row, byId.get(row.id) ?? null));
    return [['status', JSON.stringify(shown)], ['endpoints', JSON.stringify(endpoints)], ['dead', JSON.stringify(rows.dead)]];
  }

  #tell(client: Client, common: Common, now: number): void {
    if (client.response.writableLength > UNREAD_BYTES) {
      client.response.destroy();
      return;
    }
    for (const [event, data] of common) send(client, event, data);
    const index = Math.floor(now / SPAN_MS);
    // The one before again: it may have gone on after it was told.
    const spans: LiveSpans = { index, count: SPANS, ms: SPAN_MS, spans: this.#sources.activity.spans(client.spanIndex, now) };
    send(client, 'spans', JSON.stringify(spans));
    client.spanIndex = index - 1;
    const attempts = this.#sources.activity.since(client.attemptSeq);
    if (attempts.length === 0) return;
    client.attemptSeq = attempts.at(-1)?.seq ?? client.attemptSeq;
    send(client, 'attempts', JSON.stringify(attempts));
  }
}

/** JSON has no line breaks, so each event is one line of data. What was sent last is not sent again. */
function send(client: Client, event: keyof LiveEvents, data: string): void {
  if (client.sent.get(event) === data) return;
  client.sent.set(event, data);
  client.response.write(`event: ${event}\ndata: ${data}\n\n`);
}
