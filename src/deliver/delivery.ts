import type { Lsn } from '../lsn.js';
import type { UpdateType } from '../types.js';

/** A place in the order of commits: the commit's LSN and the place in the transaction. */
export interface Place {
  readonly lsn: Lsn;
  readonly seq: number;
}

/** What of a notification a delivery needs; the same whether it comes from the stream or from its row. */
export interface Note extends Place {
  readonly notificationId: string;
  readonly channelId: string;
  /** null: about the channel as a whole */
  readonly messageId: string | null;
  /** null: it collapses with nothing */
  readonly updateType: UpdateType | null;
  /** the receiver may have had it before, because the stream brought it once more, or may know of what it tells by an earlier one */
  readonly repeated: boolean;
  /** told once more because somebody asked for it: it yields to all else */
  readonly replay: boolean;
  readonly body: string;
}

/** One notification on its way to one endpoint. Times are milliseconds since 1970. */
export interface Delivery {
  note: Note;
  readonly lane: string;
  /** from the stream and ordered by the lanes in memory; otherwise from its row */
  readonly direct: boolean;
  /** by its endpoint's clock */
  readonly cameAt: number;
  /** and when the attempt under way, or the last, was begun */
  sentAt: number;
  readonly committedAt: number | null;
  /** lets the ledger's entry go; once */
  settle: (() => void) | null;
  /** an attempt has begun: the receiver may have it */
  begun: boolean;
  attempts: number;
  firstAttemptAt: number | null;
  lastStatus: number | null;
  lastError: string | null;
  nextAttemptAt: number | null;
  /** it has a row, or is about to have one */
  stored: boolean;
  /** it is not sent; `lastError` says why */
  readonly dead: boolean;
  /** what it took of the allowance when it was brought back, in bytes; as one that is larger than can be reserved otherwise, or not */
  readonly reserved: number;
  readonly reservedLarge: number;
  /** among those under way; the bag's own */
  place: number;
}

/**
 * One from the stream.
 * @param dead why it is not sent
 */
export function fresh(note: Note, lane: string, committedAt: number | null, release: () => void, cameAt: number, dead: string | null): Delivery {
  return {
    note, lane, committedAt, settle: release, direct: true, cameAt, sentAt: 0, begun: false,
    attempts: 0, firstAttemptAt: null, lastStatus: null, lastError: dead, nextAttemptAt: null, stored: false, dead: dead !== null, reserved: 0, reservedLarge: 0, place: 0,
  };
}

/** One whose row says that its time has come. @param reserved what it takes of the allowance, as `reservedLarge` */
export function broughtBack(row: Omit<Note, 'messageId' | 'updateType' | 'repeated' | 'body'> & Pick<Delivery, 'lane' | 'attempts' | 'firstAttemptAt'> & { readonly parkedAt: number }, body: string, reserved: number, reservedLarge: number): Delivery {
  const { notificationId, lsn, seq, channelId, replay, lane, attempts, firstAttemptAt, parkedAt } = row;
  return {
    // Once it is to be sent, nothing collapses with it.
    note: { notificationId, lsn, seq, channelId, messageId: null, updateType: null, repeated: true, replay, body },
    lane, begun: true, attempts, firstAttemptAt: firstAttemptAt ?? parkedAt, direct: false, cameAt: 0, sentAt: 0, committedAt: null, settle: null,
    lastStatus: null, lastError: null, nextAttemptAt: null, stored: true, dead: false, reserved, reservedLarge, place: 0,
  };
}

/** In memory while it is under way, about: its text, of up to two bytes a character, and the bytes of it. */
export function footprint({ body }: Note): number {
  return body.length * 3;
}

/** Lets go of the ledger's entry. */
export function settle(delivery: Delivery): void {
  delivery.settle?.();
  delivery.settle = null;
}
