import type { LiveStatus } from '../events.js';
import { bytes } from './format.js';

/* What is said of the bridge and its slot. Pure, so that it is tested without a browser. */

/** A class of the style sheet: it has the colour. */
export type Tone = 'well' | 'failing' | 'verifying' | 'disabled';

const STATES: Readonly<Record<string, { readonly text: string; readonly tone: Tone }>> = {
  streaming: { text: 'streaming', tone: 'well' },
  standby: { text: 'standing by', tone: 'verifying' },
  starting: { text: 'starting', tone: 'verifying' },
  reconnecting: { text: 'not streaming', tone: 'failing' },
  stopping: { text: 'stopping', tone: 'disabled' },
};

export function stateWords({ state, reason }: Pick<LiveStatus, 'state' | 'reason'>): { readonly text: string; readonly tone: Tone } {
  // It streams, and yet it is not ready: nothing moves.
  if (state === 'streaming' && reason !== null) return { text: 'stalled', tone: 'failing' };
  return STATES[state] ?? { text: state, tone: 'disabled' };
}

/** Told long before the slot is lost; null: nothing is wrong with it. */
export function slotFault({ slot, walStatus, safeBytes }: Pick<LiveStatus, 'slot' | 'walStatus' | 'safeBytes'>): string | null {
  switch (walStatus) {
    case 'unreserved':
      return `The slot ${slot} is about to be lost: the server removes what it needs at its next checkpoint. Let the bridge catch up, or raise max_slot_wal_keep_size.`;
    case 'lost':
    case 'missing':
      return `The slot ${slot} is ${walStatus}: changes since are not in the stream.`;
    case 'extended':
      return safeBytes === null ? null : `The slot ${slot} keeps more WAL than max_wal_size; after ${bytes(safeBytes)} more it is lost.`;
    default:
      return null;
  }
}
