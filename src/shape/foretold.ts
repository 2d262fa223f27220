import type { Lsn } from '../lsn.js';

/** Of so many they are remembered one by one; beyond, all that comes into a channel counts as foretold until the stream is past them. */
const LIMIT = 10_000;

/**
 * The WAL of a child row does not say in which channel its message is, so a change of children alone is told in the
 * channel in which the message is read, and so is one that is told once more. If it moved meanwhile, receivers there hear of the message before they are told
 * that it came; should it then go, they must be told that too, even where the two would come to nothing.
 *
 * What moved it was committed before it was read. So it is enough to remember what was told until the stream is past
 * the end that the WAL had then; and after a crash it is among what the stream repeats, which counts as told in any case.
 *
 * Not left to the move, because nothing says whether there is one: the row that is read may as well be an edit's, beside
 * which the change of children is told by itself. Not kept back until the stream has come that far, because with a
 * long backlog that holds the slot back for as long, and the order of its channel would not be kept.
 */
export class Foretold {
  /** by message and channel: the end of the WAL when it was read; these only go up */
  readonly #told = new Map<string, Lsn>();
  /** more was told before than is remembered */
  #forgotBefore: Lsn = 0n;

  /** @param readAt all that the reading saw was committed before */
  put(messageId: string, channelId: string, readAt: Lsn): void {
    const key = keyOf(messageId, channelId);
    this.#told.delete(key);
    this.#told.set(key, readAt);
    if (this.#told.size <= LIMIT) return;
    this.#told.clear();
    this.#forgotBefore = readAt;
  }

  /** Whether it may have been told of in the channel to which it comes with this commit. To be asked in the order of the commits. */
  has(messageId: string, channelId: string, commitLsn: Lsn): boolean {
    for (const [key, readAt] of this.#told) {
      if (readAt > commitLsn) break;
      this.#told.delete(key);
    }
    return commitLsn < this.#forgotBefore || (this.#told.size > 0 && this.#told.has(keyOf(messageId, channelId)));
  }

  clear(): void {
    this.#told.clear();
    this.#forgotBefore = 0n;
  }
}

const keyOf = (messageId: string, channelId: string): string => `${channelId} ${messageId}`;
