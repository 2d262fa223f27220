import { errorMessage } from './errors.js';
import type { Logger } from './log.js';
import type { RegistryEvents } from './deliver/registry.js';
import { SaidOnce } from './said-once.js';
import type { MirrorStore, Synced } from './store/mirror.js';
import { delay } from './time.js';

/** APP_WEBHOOKS=mirror: the application's own table of webhooks, kept in step in both directions. */
export class Mirror {
  readonly #store: MirrorStore;
  readonly #log: Logger;
  readonly #said = new SaidOnce(1_000);
  /** what is to be written to the application's rows, the newest for each of them */
  readonly #writes = new Map<string, () => Promise<void>>();
  #writing = false;
  #stop = new AbortController();
  #refused: readonly { readonly id: string; readonly rule: string }[] = [];

  constructor(store: MirrorStore, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** Rows of the application's that cannot be endpoints. */
  get refused(): readonly { readonly id: string; readonly rule: string }[] {
    return this.#refused;
  }

  /** Takes the application's table as it is now. */
  async sync(saved: ReadonlyMap<string, boolean>, beginning: boolean): Promise<Synced> {
    const synced = await this.#store.sync(saved, beginning);
    this.#refused = synced.refused.map(({ id, rule }) => ({ id, rule }));
    for (const row of synced.refused) {
      const { id, rule } = row;
      this.#write(`row ${id}`, () => this.#store.untick(row));
      if (this.#said.add(`${id} ${rule}`)) this.#log.error({ row: id, rule }, 'a row of the application\'s table of webhooks cannot be an endpoint; the others are');
    }
    return synced;
  }

  /** What the registry finds out goes to the application's rows. */
  events(events: RegistryEvents): RegistryEvents {
    return {
      ...events,
      verified: (webhook) => {
        events.verified(webhook);
        this.#tick(webhook.endpoint, true);
      },
      refused: (webhook, reason, final) => {
        events.refused(webhook, reason, final);
        if (final) this.#tick(webhook.endpoint, false);
      },
      disabled: (webhook, reason, dropped) => {
        events.disabled(webhook, reason, dropped);
        this.#tick(webhook.endpoint, false);
      },
    };
  }

  /** Another instance writes them now, or this one ends: what is left over is found out again at the next start. */
  halt(): void {
    this.#writes.clear();
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  #tick(endpoint: string, verified: boolean): void {
    this.#write(`endpoint ${endpoint}`, () => this.#store.tick(endpoint, verified));
  }

  #write(key: string, write: () => Promise<void>): void {
    this.#writes.delete(key);
    this.#writes.set(key, write);
    if (this.#writing) return;
    this.#writing = true;
    this.#writeAll()
      .catch((error: unknown) => this.#log.error({ reason: errorMessage(error) }, 'writing to the application\'s table failed'))
      .finally(() => {
        this.#writing = false;
      });
  }

  /** Beside the stream: someone may hold a lock on the application's row. */
  async #writeAll(): Promise<void> {
    let pause = 100;
    for (let next = this.#writes.entries().next().value; next !== undefined; next = this.#writes.entries().next().value) {
      const [key, write] = next;
      const { signal } = this.#stop;
      try {
        await write();
        if (this.#writes.get(key) === write) this.#writes.delete(key);
        pause = 100;
      } catch (error) {
        const reason = errorMessage(error);
        if (this.#said.add(`write ${reason}`)) this.#log.error({ reason }, 'the result of a verification cannot be written to the application\'s table; it is tried again');
        // The others have their turn.
        if (this.#writes.get(key) === write && this.#writes.delete(key)) this.#writes.set(key, write);
        await delay(pause, signal);
        pause = Math.min(pause * 2, 30_000);
      }
    }
  }
}
