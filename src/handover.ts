import type pg from 'pg';
import { errorMessage, PreconditionError } from './errors.js';
import type { Logger } from './log.js';
import type { Lsn } from './lsn.js';
import { beginHandover, dropUnused, endHandover, handoverPosition, noteLost } from './setup/handover.js';
import { inspect, type DatabaseState } from './setup/inspect.js';
import { layoutOf, refuseLayout } from './setup/layout.js';
import { allOf, countOf, type Names } from './setup/names.js';
import { isFirst, type Shard } from './shard.js';
import { delay } from './time.js';

const POLL_MS = 1_000;
/** One instance at a time does what is left of a change: 'shard' in hexadecimal ASCII. */
const ADVISORY_LOCK = BigInt('0x7368617264').toString();

export interface HandoverRooms {
  readonly pool: pg.Pool;
  readonly names: Names;
  readonly log: Logger;
  /** it is not this one's turn yet */
  readonly onWait: () => void;
  /** Tells, as the instance of that shard, what was committed before `until` and was not told yet. */
  readonly finish: (shard: Shard | null, until: Lsn, signal: AbortSignal) => Promise<void>;
}

/**
 * How many instances share the messages changes here, when those before have stopped: what was committed before one
 * position is told as they would have told it, with the ids that they would have given; what came after, by the new ones.
 * So nothing is missing, nothing is told twice under two ids, and no message's order depends on two instances.
 */
export class Handover {
  readonly #rooms: HandoverRooms;
  #said = '';

  constructor(rooms: HandoverRooms) {
    this.#rooms = rooms;
  }

  /**
   * Resolves when the messages are shared out as this instance is configured, or when it is stopped.
   * @throws {PreconditionError} when it has nothing to do here
   */
  async settled(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (await this.#step(signal)) return;
        this.#rooms.onWait();
      } catch (error) {
        if (error instanceof PreconditionError) throw error;
        this.#rooms.log.warn({ reason: errorMessage(error) }, 'how the messages are shared out cannot be settled yet; it is tried again');
      }
      await delay(POLL_MS, signal);
    }
  }

  /** @returns whether it is settled */
  async #step(signal: AbortSignal): Promise<boolean> {
    const { pool, names, log } = this.#rooms;
    const state = await inspect(pool, names);
    refuseLayout(state, names);
    const { count, handover } = layoutOf(state.meta);
    const own = countOf(names);
    if (handover !== null && own === count) return this.#alone(() => this.#finish(handover.from, signal));
    if (count === null || own === count) {
      if (isFirst(names.shard)) for (const slot of await dropUnused(pool, state, names)) log.info({ slot }, 'a slot that nobody uses any more is dropped');
      return true;
    }
    const busy = activeOf(state, names, count);
    if (busy.length > 0) {
      this.#say(`standing by: ${busy.join(', ')} still in use; this instance takes over when nobody streams from there any more`);
      return false;
    }
    if (await beginHandover(pool, { from: count, to: own })) log.info({ from: count, to: own }, 'taking over: how many share the messages changes');
    return this.#alone(() => this.#finish(count, signal));
  }

  async #finish(from: number, signal: AbortSignal): Promise<boolean> {
    const { pool, names, log, finish } = this.#rooms;
    const before = allOf(names, from);
    let state = await inspect(pool, names);
    const { handover } = layoutOf(state.meta);
    // Another instance has done it meanwhile.
    if (handover === null) return false;
    const busy = activeOf(state, names, from);
    if (busy.length > 0) {
      this.#say(`standing by: ${busy.join(', ')} in use once more; an instance that streams there ends by itself`);
      return false;
    }
    const until = handover.at ?? (await handoverPosition(pool));
    for (const one of before) {
      const slot = state.slots.get(one.slot);
      if (slot === undefined || slot.walStatus === 'lost') {
        log.error({ slot: one.slot }, 'the slot is lost: every channel will be announced to every endpoint');
        await noteLost(pool, names);
      } else if (slot.confirmed === null || slot.confirmed < until) {
        log.info({ slot: one.slot }, 'telling what is left in the slot');
        try {
          await finish(one.shard, until, signal);
        } catch (error) {
          this.#say(`what is left in slot ${one.slot} cannot be told yet: ${errorMessage(error)}`);
          return false;
        }
        if (signal.aborted) return false;
      }
    }
    state = await inspect(pool, names);
    const late = before.filter(({ slot: name }) => {
      const slot = state.slots.get(name);
      return slot !== undefined && slot.walStatus !== 'lost' && (slot.confirmed ?? 0n) < until;
    });
    if (late.length > 0) return false;
    await endHandover(pool, names, from, until);
    log.info({ from, to: countOf(names) }, 'taken over');
    return false;
  }

  /** @returns false when another instance is at it */
  async #alone(work: () => Promise<boolean>): Promise<boolean> {
    const client = await this.#rooms.pool.connect();
    let fault: Error | undefined;
    try {
      const { rows } = await client.query<{ mine: string }>('SELECT pg_try_advisory_lock($1::bigint) AS mine', [ADVISORY_LOCK]);
      if (rows[0]?.mine !== 't') {
        this.#say('standing by: another instance is taking over');
        return false;
      }
      return await work();
    } catch (error) {
      fault = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      await client.query('SELECT pg_advisory_unlock_all()').catch((error: unknown) => {
        fault ??= error instanceof Error ? error : new Error(String(error));
      });
      client.release(fault);
    }
  }

  #say(what: string): void {
    if (this.#said === what) return;
    this.#said = what;
    this.#rooms.log.info(what);
  }
}

function activeOf(state: DatabaseState, names: Names, count: number): readonly string[] {
  return allOf(names, count).flatMap(({ slot }) => (state.slots.get(slot)?.active === true ? [slot] : []));
}
