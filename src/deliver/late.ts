import type { Notification } from '../types.js';
import type { Dispatcher } from './dispatcher.js';

/** One that waits for an earlier one of its channel to be made. */
type Waiting = { readonly kind: 'ready'; readonly go: () => void } | ({ readonly kind: 'late' } & Late);

interface Late {
  /** the notification once its body is there; null: it is wanted no more */
  readonly made: Promise<Notification | null>;
  readonly release: () => void;
}

/**
 * Requests whose body takes its time keep their place: what comes later for the same channel, and is
 * ordered by channel, goes behind them. Nothing else waits.
 */
export class LateRequests {
  readonly #dispatcher: Pick<Dispatcher, 'deliver' | 'keep'>;
  #channels = new Map<string, Waiting[]>();
  /** of what is kept, to be called when it is not any more */
  readonly #kept = new Set<() => void>();

  constructor(dispatcher: Pick<Dispatcher, 'deliver' | 'keep'>) {
    this.#dispatcher = dispatcher;
  }

  /** Requests that are being made. */
  get size(): number {
    return this.#channels.size;
  }

  /** @param release as for `Dispatcher.deliver` */
  deliver(notification: Notification, release: () => void): void {
    const waiting = this.#channels.get(notification.channelId);
    if (waiting === undefined) {
      this.#dispatcher.deliver(notification, release);
      return;
    }
    if (notification.messageId === null) {
      this.#queue(waiting, notification, () => this.#dispatcher.deliver(notification, release));
      return;
    }
    let pending = 2;
    const settled = (): void => {
      pending -= 1;
      if (pending === 0) release();
    };
    this.#dispatcher.deliver(notification, settled, (webhook) => webhook.ordering === 'message');
    this.#queue(waiting, notification, () => this.#dispatcher.deliver(notification, settled, (webhook) => webhook.ordering === 'channel'));
  }

  /** @param about as `made`, without what takes its time */
  request(about: Notification, made: Promise<Notification | null>, release: () => void): void {
    const { channelId } = about;
    const drop = this.#keep(about);
    const late: Late = {
      made,
      release() {
        drop();
        release();
      },
    };
    const waiting = this.#channels.get(channelId);
    if (waiting === undefined) this.#begin(channelId, [], late);
    else waiting.push({ kind: 'late', ...late });
  }

  /** Another history begins: what waits comes again with it. */
  reset(): void {
    for (const drop of this.#kept) drop();
    this.#channels = new Map();
  }

  #queue(waiting: Waiting[], notification: Notification, deliver: () => void): void {
    const drop = this.#keep(notification);
    waiting.push({
      kind: 'ready',
      go() {
        deliver();
        drop();
      },
    });
  }

  /** It counts as in memory, so that it is bounded with everything else. @returns to be called when it does not any more */
  #keep(notification: Notification): () => void {
    const release = this.#dispatcher.keep(notification);
    const drop = (): void => {
      if (this.#kept.delete(drop)) release();
    };
    this.#kept.add(drop);
    return drop;
  }

  #begin(channelId: string, waiting: Waiting[], { made, release }: Late): void {
    this.#channels.set(channelId, waiting);
    made.then(
      (notification) => {
        if (this.#channels.get(channelId) !== waiting) return;
        if (notification === null) release();
        // One of them at a time is made and not yet delivered or parked.
        else this.#dispatcher.deliver(notification, release, () => true, false);
        this.#next(channelId, waiting);
      },
      () => undefined,
    );
  }

  #next(channelId: string, waiting: Waiting[]): void {
    this.#channels.delete(channelId);
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      if (item.kind === 'late') {
        this.#begin(channelId, [...waiting], item);
        return;
      }
      item.go();
    }
  }
}
