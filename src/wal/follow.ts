import { errorCode, errorMessage, isConfigurationFault, PreconditionError, SlotBusyError, SlotLostError, TakenOverError } from '../errors.js';
import type { Lsn } from '../lsn.js';
import { delay } from '../time.js';
import type { Inbox } from './inbox.js';
import type { Ledger } from './ledger.js';
import { WalStream, type StreamOptions, type SystemIdentity } from './stream.js';

export interface FollowOptions extends Omit<StreamOptions, 'connection'> {
  /** where to connect to, asked each time */
  readonly connection: () => Promise<StreamOptions['connection']>;
}

export interface FollowHooks {
  /** The slot is ours; nothing is shaped before this resolves. `fresh`: what came before is forgotten. */
  leading(identity: SystemIdentity, fresh: boolean): Promise<void>;
  /** Another instance holds the slot. */
  standingBy(): Promise<void>;
  /** The stream broke; it is tried again. */
  faulted(reason: string): void;
  /** Makes the slot anew, or throws to end the process. */
  slotLost(error: SlotLostError): Promise<void>;
  /** Ends a session of our own that the server has not noticed to be dead. @returns whether `pid` was it */
  endOwn(pid: number): Promise<boolean>;
}

const STANDBY_POLL_MS = 1_000;
const BACKOFF_MAX_MS = 10_000;
const SETTLED_MS = 10_000;

/**
 * Keeps one stream from the slot going until the signal: connects, stands by while another instance
 * streams, reconnects with backoff after any fault. What was taken in is kept across reconnects to
 * the same server history, and forgotten otherwise.
 * @throws {PreconditionError} for a fault that no retry mends
 */
export class Follower {
  readonly #options: FollowOptions;
  readonly #inbox: Inbox;
  readonly #ledger: Ledger;
  readonly #hooks: FollowHooks;
  #stream: WalStream | null = null;
  #identity: SystemIdentity | null = null;
  #lastPid: number | null = null;
  /** what the slot had confirmed when this process last took it over */
  #ledAt: Lsn = 0n;

  constructor(options: FollowOptions, inbox: Inbox, ledger: Ledger, hooks: FollowHooks) {
    this.#options = options;
    this.#inbox = inbox;
    this.#ledger = ledger;
    this.#hooks = hooks;
  }

  /** The stream that is up, if one is. */
  get stream(): WalStream | null {
    return this.#stream;
  }

  async run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (let faults = 0; !signal.aborted; ) {
      let stream: WalStream | null = null;
      const startedAt = performance.now();
      try {
        const connection = await Promise.race([this.#options.connection(), aborted]);
        if (connection === undefined) return;
        stream = new WalStream({ ...this.#options, connection }, this.#inbox, this.#ledger);
        const { identity, fresh } = await this.#begin(stream);
        if (signal.aborted) return;
        this.#stream = stream;
        await this.#hooks.leading(identity, fresh);
        // Only now: had it failed, the next try would have to begin afresh.
        this.#identity = identity;
        if (fresh) this.#ledAt = identity.confirmed;
        await Promise.race([stream.ended, aborted]);
        return;
      } catch (error) {
        if (signal.aborted) return;
        // A stream that breaks soon after it began is no success: the pause goes on growing.
        const before = performance.now() - startedAt > SETTLED_MS ? 0 : faults;
        faults = await this.#recover(error, before + 1, signal);
      } finally {
        this.#stream = null;
        stream?.destroy();
      }
    }
  }

  async #begin(stream: WalStream): Promise<{ readonly identity: SystemIdentity; readonly fresh: boolean }> {
    const callOff = stream.armDeadline();
    try {
      const identity = await Promise.race([stream.connect(), stream.ended]);
      const fresh = this.#isFresh(identity);
      // Before the start: what arrives from then on belongs to the new history.
      if (fresh) this.#forget();
      await stream.start();
      this.#lastPid = stream.pid;
      return { identity, fresh };
    } catch (error) {
      if (isConfigurationFault(error)) throw new PreconditionError(`the server refuses the replication connection: ${errorMessage(error)}${hint(error)}`);
      throw error;
    } finally {
      callOff();
    }
  }

  /**
   * Another cluster or timeline; an older copy of this one; or a slot that someone else moved on, who
   * has told what this process still holds and has changed what it knows.
   */
  #isFresh(identity: SystemIdentity): boolean {
    const known = this.#identity;
    if (known === null || known.systemId !== identity.systemId || known.timeline !== identity.timeline) return true;
    if (identity.end < this.#inbox.newest) return true;
    return identity.confirmed > this.#ledger.confirmed && identity.confirmed > this.#ledAt;
  }

  /** @returns how many faults there were in a row, for the backoff */
  async #recover(error: unknown, faults: number, signal: AbortSignal): Promise<number> {
    let fault = error;
    try {
      if (error instanceof SlotBusyError) {
        await this.#standBy(error);
        await delay(STANDBY_POLL_MS, signal);
        return 0;
      }
      if (error instanceof SlotLostError) {
        await this.#hooks.slotLost(error);
        this.#identity = null;
        return faults;
      }
      if (error instanceof TakenOverError) this.#identity = null;
    } catch (second) {
      fault = second;
    }
    if (fault instanceof PreconditionError) throw fault;
    this.#hooks.faulted(errorMessage(fault));
    await delay(Math.min(BACKOFF_MAX_MS, 100 * 2 ** Math.min(faults - 1, 10)) * (0.75 + Math.random() / 4), signal);
    return faults;
  }

  async #standBy(error: SlotBusyError): Promise<void> {
    const pid = /PID (\d+)/u.exec(error.message)?.[1];
    if (pid !== undefined && Number(pid) === this.#lastPid && (await this.#hooks.endOwn(Number(pid)))) return;
    // Another instance streams from the confirmed LSN on: what this one still holds is that one's now.
    this.#forget();
    this.#identity = null;
    await this.#hooks.standingBy();
  }

  #forget(): void {
    this.#ledger.reset();
    this.#inbox.reset();
  }
}

function hint(error: unknown): string {
  return errorCode(error) === '42501' ? '; the role needs the REPLICATION attribute: ALTER ROLE … REPLICATION' : '';
}
