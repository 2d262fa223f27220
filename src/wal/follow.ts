import { errorCode, errorMessage, isConfigurationFault, PreconditionError, SlotBusyError, SlotLostError } from '../errors.js';
import { delay } from '../time.js';
import type { Inbox } from './inbox.js';
import type { Ledger } from './ledger.js';
import { WalStream, type StreamOptions, type SystemIdentity } from './stream.js';

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

/**
 * Keeps one stream from the slot going until the signal: connects, stands by while another instance
 * streams, reconnects with backoff after any fault. What was taken in is kept across reconnects to
 * the same server history, and forgotten otherwise.
 * @throws {PreconditionError} for a fault that no retry mends
 */
export class Follower {
  readonly #options: StreamOptions;
  readonly #inbox: Inbox;
  readonly #ledger: Ledger;
  readonly #hooks: FollowHooks;
  #stream: WalStream | null = null;
  #identity: SystemIdentity | null = null;
  #lastPid: number | null = null;

  constructor(options: StreamOptions, inbox: Inbox, ledger: Ledger, hooks: FollowHooks) {
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
    for (let faults = 0; !signal.aborted; ) {
      const stream = new WalStream(this.#options, this.#inbox, this.#ledger);
      try {
        const identity = await stream.connect();
        const known = this.#identity;
        const fresh = known === null || known.systemId !== identity.systemId || known.timeline !== identity.timeline;
        // Before the start: what arrives from then on belongs to the new history.
        if (fresh) this.#forget();
        await stream.start();
        this.#lastPid = stream.pid;
        this.#stream = stream;
        await this.#hooks.leading(identity, fresh);
        // Only now: had it failed, the next try would have to begin afresh.
        this.#identity = identity;
        faults = 0;
        await Promise.race([stream.ended, aborted(signal)]);
        return;
      } catch (error) {
        this.#stream = null;
        stream.destroy();
        if (signal.aborted) return;
        faults = await this.#recover(error, faults + 1, signal);
      }
    }
  }

  /** @returns how many faults there were in a row, for the backoff */
  async #recover(error: unknown, faults: number, signal: AbortSignal): Promise<number> {
    if (error instanceof SlotBusyError) {
      await this.#standBy(error);
      await delay(STANDBY_POLL_MS, signal);
      return 0;
    }
    if (error instanceof SlotLostError) {
      this.#forget();
      this.#identity = null;
      try {
        await this.#hooks.slotLost(error);
        return 0;
      } catch (fault) {
        return this.#recover(fault instanceof SlotLostError ? new PreconditionError(fault.message) : fault, faults, signal);
      }
    }
    if (isConfigurationFault(error)) throw new PreconditionError(`the server refuses the replication connection: ${errorMessage(error)}${hint(error)}`);
    if (error instanceof PreconditionError) throw error;
    this.#hooks.faulted(errorMessage(error));
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
