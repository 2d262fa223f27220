import type { Lsn } from '../lsn.js';
import type { UpdateType } from '../types.js';

/** A delivery as slackchat_bridge.deliveries keeps it. Times are milliseconds since 1970. */
export interface ParkedDelivery {
  readonly notificationId: string;
  readonly lane: string;
  readonly lsn: Lsn;
  readonly seq: number;
  readonly channelId: string;
  readonly body: string;
  readonly attempts: number;
  readonly firstAttemptAt: number | null;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** null: as soon as its lane allows */
  readonly nextAttemptAt: number | null;
  /** it does not wait to be sent; `lastError` says why */
  readonly dead: boolean;
  /** null: about the channel as a whole */
  readonly messageId: string | null;
  /** null: it collapses with nothing */
  readonly updateType: UpdateType | null;
  /** the stream brought it once more */
  readonly repeated: boolean;
  /** told once more because somebody asked for it */
  readonly replay: boolean;
  /** an attempt was begun */
  readonly begun: boolean;
}

/** A parked delivery whose time has come: the head of its lane, or what may follow it at once. */
export interface DueDelivery {
  readonly notificationId: string;
  readonly lane: string;
  readonly lsn: Lsn;
  readonly seq: number;
  readonly channelId: string;
  readonly replay: boolean;
  /** everything else goes before it */
  readonly yields: boolean;
  /** of the body */
  readonly bytes: number;
  /** null: there was no room for it; only of a lane's head */
  readonly body: string | null;
  readonly attempts: number;
  readonly firstAttemptAt: number | null;
  readonly parkedAt: number;
}

export interface Removed {
  readonly kind: 'delivered' | 'dropped';
  readonly notificationId: string;
  readonly lane: string;
}

export interface Kept {
  readonly kind: 'retry' | 'dead';
  readonly notificationId: string;
  readonly lane: string;
  readonly status: number | null;
  readonly reason: string;
  readonly attempts: number;
  readonly nextAttemptAt: number;
}

export type ParkedResult = Removed | Kept;

/** What is left out of what is due. */
export interface Except {
  /** in which something is under way already */
  readonly lanes: readonly string[];
  /** all, while the stream brings commits once more */
  readonly whileRepeating: boolean;
  /** what yields */
  readonly yielding: boolean;
}

/** How much may be brought back. */
export interface Room {
  readonly lanes: number;
  /** all in all; the lanes' heads go before what follows them */
  readonly rows: number;
  /** of the bodies together; heads beyond it, and those larger than it, come without */
  readonly bytes: number;
}

/** Commits that the stream is bringing once more, `to` exclusive; empty when it is not. */
export interface Repeating {
  readonly from: Lsn;
  readonly to: Lsn;
}
