import pg from 'pg';
import { PgoutputPlugin } from 'pg-logical-replication';
import type { Socket } from 'node:net';
import { errorCode, errorMessage, SlotBusyError, SlotLostError, StreamError } from '../errors.js';
import { parseLsn, type Lsn } from '../lsn.js';
import { Decoder, type WatchedTable } from './decoder.js';
import type { Inbox } from './inbox.js';
import type { Ledger } from './ledger.js';
import { Liveness, livenessTiming } from './liveness.js';
import { TransactionAssembler } from './transactions.js';

/**
 * PostgreSQL 16 to 18 can leave a commit unsent until the client's next message (a lost wakeup in the
 * walsender), so this interval bounds that stall as well.
 */
const STATUS_INTERVAL_MS = 75;
const NEVER: Lsn = 0xffff_ffff_ffff_ffffn;
const LATE_TICK_MS = 1_000;
/** What a change takes in memory beside its bytes, as objects. */
const OVERHEAD_BYTES = 600;
/** From connecting to the stream's start: a network that goes silent in between is noticed by nothing else. */
const START_DEADLINE_MS = 15_000;

export interface StreamOptions {
  readonly connection: pg.ClientConfig;
  readonly slot: string;
  readonly publication: string;
  readonly watched: readonly WatchedTable[];
  readonly controlPrefix: string;
  readonly partBytes: number;
  readonly inboxBytes: number;
  /** null: for ever. Otherwise what is committed from there on is another's, and the slot is confirmed no further; `reached` when all before is settled */
  readonly until: { readonly lsn: Lsn; readonly reached: () => void } | null;
}

/** Where the server stands, to tell whether it is still the history that is known here. */
export interface SystemIdentity {
  readonly systemId: string;
  readonly timeline: string;
  /** the end of its WAL */
  readonly end: Lsn;
  /** what the slot has confirmed; 0 when there is no slot */
  readonly confirmed: Lsn;
}

/** pg's connection under the client: its copy-both half is not in the public types. */
interface CopyConnection {
  readonly stream: Socket;
  on(event: 'copyData', listener: (message: { chunk: Buffer }) => void): void;
  once(event: 'replicationStart', listener: () => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

/**
 * One replication connection, from START_REPLICATION to its end. It fills the inbox and reports the
 * ledger's LSN; it never decides what is confirmed.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export class WalStream {
  readonly #client: pg.Client;
  readonly #connection: CopyConnection;
  readonly #options: StreamOptions;
  readonly #inbox: Inbox;
  readonly #ledger: Ledger;
  readonly #decoder: Decoder;
  readonly #assembler: TransactionAssembler;
  readonly #plugin: PgoutputPlugin;
  readonly ended: Promise<never>;
  #liveness: Liveness = new Liveness(livenessTiming(0), performance.now());
  #fail: (error: Error) => void = () => undefined;
  #timer: NodeJS.Timeout | null = null;
  #received: Lsn = 0n;
  #reported: Lsn = 0n;
  #tickedAt = 0;
  #paused = false;
  #closing = false;
  #broken = false;

  constructor(options: StreamOptions, inbox: Inbox, ledger: Ledger) {
    this.#options = options;
    this.#inbox = inbox;
    this.#ledger = ledger;
    // 'replication' makes the server answer as a walsender; pg's types know it only as a passed-on option.
    const config = { ...options.connection, keepAlive: true, replication: 'database' };
    this.#client = new pg.Client(config);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's replication half has no types
    this.#connection = (this.#client as unknown as { connection: CopyConnection }).connection;
    this.#plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [options.publication], messages: true });
    this.#decoder = new Decoder(options.watched, options.controlPrefix);
    this.#assembler = new TransactionAssembler(options.partBytes);
    this.ended = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    // Someone always looks at it in the end; until then a rejection is not unhandled.
    this.ended.catch(() => undefined);
    this.#client.on('error', (error) => this.#end(new StreamError(`replication connection: ${error.message}`)));
    this.#client.on('end', () => this.#end(new StreamError('the server closed the replication connection')));
  }

  /** How far the server has sent. */
  get received(): Lsn {
    return this.#received;
  }

  /** The server's process for this connection; null before it is there. */
  get pid(): number | null {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- set by the driver from BackendKeyData, not in its types
    return (this.#client as unknown as { readonly processID: number | null }).processID;
  }

  /** True when everything that may be confirmed has been reported to the server. */
  get reportedAll(): boolean {
    return this.#reported >= this.#ledger.confirmed;
  }

  /** @throws the driver's error when the server cannot be reached or refuses the role */
  async connect(): Promise<SystemIdentity> {
    await this.#client.connect();
    const server = await this.#client.query<{ ms: string; standby: string }>(
      "SELECT setting AS ms, pg_catalog.pg_is_in_recovery()::text AS standby FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'",
    );
    // It could stream from 16 on, but take no deliveries to be kept.
    if (server.rows[0]?.standby === 'true') throw new StreamError('the server is a standby, which takes no writes; the primary is needed');
    this.#liveness = new Liveness(livenessTiming(Number(server.rows[0]?.ms ?? 0)), performance.now());
    const slot = await this.#client.query<{ lsn: string | null }>(
      `SELECT confirmed_flush_lsn::text AS lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = '${this.#options.slot}'`,
    );
    const system = await this.#client.query<{ systemid: string; timeline: number; xlogpos: string }>('IDENTIFY_SYSTEM');
    const row = system.rows[0];
    if (row === undefined) throw new StreamError('IDENTIFY_SYSTEM gave no row');
    return { systemId: row.systemid, timeline: String(row.timeline), end: parseLsn(row.xlogpos), confirmed: parseLsn(slot.rows[0]?.lsn ?? '0/0') };
  }

  /**
   * Starts at 0/0: the server resumes at the slot's confirmed LSN, the only position that is safe.
   * @throws {SlotLostError} the slot is not there or can no longer be used
   * @throws {SlotBusyError} another connection streams from it
   */
  async start(): Promise<void> {
    this.#connection.on('copyData', ({ chunk }) => this.#onCopyData(chunk));
    this.#inbox.onDrain = () => this.#resume();
    const started = new Promise<void>((resolve) => this.#connection.once('replicationStart', resolve));
    const query = this.#plugin.start(this.#client, this.#options.slot, '0/0').then(
      () => {
        throw new StreamError('the server ended the stream');
      },
      (error: unknown) => {
        throw this.#classify(error);
      },
    );
    query.catch((error: unknown) => this.#end(error instanceof Error ? error : new StreamError(String(error))));
    await Promise.race([started, query, this.ended]);
    this.#tickedAt = performance.now();
    this.#timer = setInterval(() => this.#tick(), STATUS_INTERVAL_MS);
  }

  /** Ends the connection if it has not started streaming in time. @returns a function that calls it off */
  armDeadline(): () => void {
    const timer = setTimeout(() => {
      this.#end(new StreamError(`no replication stream within ${START_DEADLINE_MS} ms`));
    }, START_DEADLINE_MS);
    return () => clearTimeout(timer);
  }

  /** Reports what is settled one last time and ends the connection in order, so that the slot is free at once. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#stopTimer();
    this.#inbox.onDrain = null;
    this.#connection.stream.resume();
    if (this.#received > 0n || this.#ledger.confirmed > 0n) this.#sendStatus(false);
    const closed = new Promise<void>((resolve) => {
      const giveUp = setTimeout(() => {
        this.#connection.stream.destroy();
        resolve();
      }, 2_000);
      this.#connection.stream.once('close', () => {
        clearTimeout(giveUp);
        resolve();
      });
      if (this.#connection.stream.destroyed) {
        clearTimeout(giveUp);
        resolve();
      }
    });
    // The promise of end() waits for the query in progress, which a stream never finishes.
    this.#client.end().catch(() => undefined);
    await closed;
  }

  /** Ends the stream with this fault. */
  interrupt(error: StreamError): void {
    this.#end(error);
  }

  /** Breaks the connection without a word. */
  destroy(): void {
    this.#stopTimer();
    this.#closing = true;
    this.#inbox.onDrain = null;
    this.#connection.stream.destroy();
  }

  #onCopyData(chunk: Buffer): void {
    // What the socket still holds after a fault follows a gap, and must not be taken for the whole.
    if (this.#broken || this.#closing) return;
    this.#liveness.heard(performance.now());
    try {
      const tag = chunk[0];
      if (tag === 0x77 /* 'w' XLogData: start, end, clock (8 bytes each), data */) {
        const end = chunk.readBigUInt64BE(9);
        if (end > this.#received) this.#received = end;
        const message = this.#decoder.decode(chunk, 25);
        if (message === null) return;
        const transaction = this.#assembler.push(message, chunk.length + OVERHEAD_BYTES);
        if (transaction === null) return;
        if (transaction.commitLsn >= (this.#options.until?.lsn ?? NEVER)) return;
        this.#inbox.push(transaction);
        if (this.#inbox.bytes > this.#options.inboxBytes) this.#pause();
      } else if (tag === 0x6b /* 'k' keepalive: end, clock, reply wanted */) {
        const end = chunk.readBigUInt64BE(1);
        if (end > this.#received) this.#received = end;
        if (!this.#assembler.open) this.#idle(end);
        if (chunk[17] === 1) this.#sendStatus(false);
      }
    } catch (error) {
      this.#end(error instanceof Error ? error : new StreamError(String(error)));
    }
  }

  #idle(end: Lsn): void {
    const { until } = this.#options;
    this.#ledger.idle(until === null || end < until.lsn ? end : until.lsn);
  }

  #finish(): void {
    const { until } = this.#options;
    // What comes is in the order of the commits: everything before has come.
    if (until === null || this.#received < until.lsn || this.#assembler.open || this.#ledger.open > 0) return;
    this.#ledger.idle(until.lsn);
    if (this.#reported >= until.lsn) until.reached();
  }

  #tick(): void {
    const now = performance.now();
    // After a stop of the process the server's answer may lie unread in the socket: it is not silent for that.
    if (now - this.#tickedAt > LATE_TICK_MS) this.#liveness.heard(now);
    this.#tickedAt = now;
    const verdict = this.#liveness.check(now, !this.#paused);
    if (verdict === 'dead') {
      this.#end(new StreamError('the server has been silent for longer than wal_sender_timeout'));
      return;
    }
    this.#finish();
    this.#sendStatus(verdict === 'ask');
  }

  /**
   * Standby status update. Without progress the flush position is 0/0, "no news": it leaves the slot
   * where it is and lets a fast shutdown of the server end, which otherwise waits for a flush.
   */
  #sendStatus(askForReply: boolean): void {
    const confirmed = this.#ledger.confirmed;
    const flush = confirmed > this.#reported ? confirmed : 0n;
    const written = this.#received > confirmed ? this.#received : confirmed;
    const message = Buffer.alloc(34);
    message[0] = 0x72; // 'r'
    message.writeBigUInt64BE(written, 1);
    message.writeBigUInt64BE(flush, 9);
    message.writeBigUInt64BE(flush, 17);
    // microseconds since 2000-01-01
    message.writeBigInt64BE((BigInt(Date.now()) - 946_684_800_000n) * 1000n, 25);
    message[33] = askForReply ? 1 : 0;
    this.#connection.sendCopyFromChunk(message);
    if (flush > 0n) this.#reported = flush;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#connection.stream.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#inbox.bytes > this.#options.inboxBytes / 2) return;
    this.#paused = false;
    this.#liveness.heard(performance.now());
    this.#connection.stream.resume();
  }

  #classify(error: unknown): Error {
    const code = errorCode(error);
    const slot = this.#options.slot;
    // 42704 undefined_object, 55000 object_not_in_prerequisite_state (invalidated), 55006 object_in_use
    if (code === '42704' && errorMessage(error).includes('replication slot')) {
      return new SlotLostError(`replication slot "${slot}" does not exist`);
    }
    if (code === '55000') return new SlotLostError(`replication slot "${slot}" cannot be used: ${errorMessage(error)}`);
    if (code === '55006') return new SlotBusyError(`replication slot "${slot}" is in use: ${errorMessage(error)}`);
    return error instanceof Error ? error : new StreamError(String(error));
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #end(error: Error): void {
    this.#broken = true;
    this.#stopTimer();
    if (!this.#closing) this.#connection.stream.destroy();
    this.#fail(error);
  }
}
