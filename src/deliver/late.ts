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
  readonly #dispatcher: Pick<Dispatcher, 'deliver'>;
  #channels = new Map<string, Waiting[]>();

  constructor(dispatcher: Pick<Dispatcher, 'deliver'>) {
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
      waiting.push({ kind: 'ready', go: () => this.#dispatcher.deliver(notification, release) });
      return;
    }
    let pending = 2;
    const settled = (): void => {
      pending -= 1;
      if (pending === 0) release();
    };
    this.#dispatcher.deliver(notification, settled, (webhook) => webhook.ordering === 'message');
    waiting.push({ kind: 'ready', go: () => this.#dispatcher.deliver(notification, settled, (webhook) => webhook.ordering === 'channel') });
  }

  request(channelId: string, made: Promise<Notification | null>, release: () => void): void {
    const waiting = this.#channels.get(channelId);
    if (waiting === undefined) this.#begin(channelId, [], { made, release });
    else waiting.push({ kind: 'late', made, release });
  }

  /** Another history begins: what waits comes again with it. */
  reset(): void {
    this.#channels = new Map();
  }

  #begin(channelId: string, waiting: Waiting[], { made, release }: Late): void {
    this.#channels.set(channelId, waiting);
    made.then(
      (notification) => {
        if (this.#channels.get(channelId) !== waiting) return;
        if (notification === null) release();
        else this.#dispatcher.deliver(notification, release);
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
