import { errorMessage } from '../errors.js';
import { delay } from '../time.js';
import type { Webhook } from '../types.js';
import type { Dispatcher } from './dispatcher.js';
import { Verifier, type VerifierOptions } from './verify.js';

/** slackchat_bridge.webhooks. Each write is marked as the bridge's own. */
export interface WebhookTable {
  all(): Promise<readonly Webhook[]>;
  /** @returns false when the row is no longer what was challenged */
  verified(webhook: Webhook): Promise<boolean>;
  refused(webhook: Webhook, reason: string, stillVerified: boolean): Promise<boolean>;
  failing(webhookId: string, reason: string): Promise<boolean>;
  recovered(webhookId: string): Promise<boolean>;
  /** @returns how many waiting deliveries were dropped */
  disable(webhookId: string, reason: string): Promise<number>;
  /** Of a disabled one. @returns how many waiting deliveries were dropped */
  dropWaiting(webhookId: string): Promise<number>;
}

export interface RegistryEvents {
  verified(webhook: Webhook): void;
  refused(webhook: Webhook, reason: string, final: boolean): void;
  disabled(webhook: Webhook, reason: string, dropped: number): void;
  fault(webhook: Webhook, reason: string): void;
}

export interface RegistryOptions extends VerifierOptions {
  /** false: another instance challenges endpoints, and this one hears of it from their table */
  readonly challenges: boolean;
}

/** `last_error` is written no more often than this for each endpoint. */
const NOTE_INTERVAL_MS = 30_000;

/** Keeps the endpoints in step with their table, and the table with what became of them. */
export class Registry {
  readonly #table: WebhookTable;
  readonly #dispatcher: Dispatcher;
  readonly #events: RegistryEvents;
  readonly #verifier: Verifier;
  readonly #challenges: boolean;
  /** endpoints whose failure stands in the table: when it was written */
  readonly #noted = new Map<string, number>();
  #webhooks = new Map<string, Webhook>();
  #last: Promise<void> = Promise.resolve();
  #forgotten = new AbortController();

  constructor(table: WebhookTable, dispatcher: Dispatcher, options: RegistryOptions, events: RegistryEvents) {
    this.#table = table;
    this.#dispatcher = dispatcher;
    this.#events = events;
    this.#challenges = options.challenges;
    this.#verifier = new Verifier(options, {
      verified: (webhook) => this.#verified(webhook),
      refused: (webhook, reason, final) => this.#refused(webhook, reason, final),
      fault: (webhook, reason) => this.#events.fault(webhook, reason),
    });
  }

  /** Takes the table as it is now, and challenges all that is not verified and not being challenged. */
  load(): Promise<void> {
    return this.#exclusively(() => this.#load());
  }

  /** These rows were saved by someone else: unverified ones are challenged anew. */
  saved(webhookIds: ReadonlySet<string>): Promise<void> {
    return this.#exclusively(async () => {
      const interrupted = [...webhookIds].filter((id) => this.#verifier.running(id));
      for (const id of webhookIds) this.#verifier.cancel(id);
      await this.#load(webhookIds);
      // One that was asked for is not forgotten because the row was saved meanwhile.
      for (const id of interrupted) if (!this.#verifier.running(id)) this.verify(id);
    });
  }

  verifying(webhookId: string): boolean {
    return this.#verifier.running(webhookId);
  }

  /** Asked for: what is verified stays so until the challenge fails. */
  verify(webhookId: string): void {
    const webhook = this.#webhooks.get(webhookId);
    if (this.#challenges && webhook?.enabled === true) this.#verifier.request(webhook);
  }

  /** Notes in the row why nothing arrives, or that it does again. @returns null when that stands there, as it does nearly always */
  note(webhook: Webhook, failure: string | null, now: number): Promise<unknown> | null {
    const notedAt = this.#noted.get(webhook.id);
    if (failure === null) {
      if (notedAt === undefined || now - notedAt < 1_000) return null;
      this.#noted.delete(webhook.id);
      return this.#table.recovered(webhook.id);
    }
    if (notedAt !== undefined && now - notedAt <= NOTE_INTERVAL_MS) return null;
    this.#noted.set(webhook.id, now);
    return this.#table.failing(webhook.id, failure);
  }

  /**
   * 410: nothing more goes there, and what waits is dropped once the row says so. Until then it is stored with what comes,
   * because the row may be saved by someone first, who gets all of it.
   */
  async gone(webhook: Webhook, reason: string): Promise<void> {
    if (this.#webhooks.get(webhook.id)?.verified !== true) return;
    const { signal } = this.#forgotten;
    const pending = { ...webhook, verified: false, awaited: true };
    this.#set(pending);
    let dropped: number | null = null;
    for (let pause = 100; dropped === null && this.#webhooks.get(webhook.id) === pending; pause = Math.min(pause * 2, 5_000)) {
      dropped = await this.#table.disable(webhook.id, reason).catch(async (error: unknown) => {
        this.#events.fault(webhook, errorMessage(error));
        await delay(pause, signal);
        return null;
      });
    }
    if (dropped === null) return;
    // Saved by someone at the same time: the row says what came of the two.
    if (this.#webhooks.get(webhook.id) !== pending) return this.load();
    const disabled = { ...webhook, enabled: false };
    this.#webhooks.set(webhook.id, disabled);
    const unwritten = (await this.#dispatcher.endpoint(webhook.id)?.discard(disabled)) ?? 0;
    // What was being written has its row by now.
    const late = await this.#table.dropWaiting(webhook.id).catch((error: unknown) => {
      this.#events.fault(webhook, errorMessage(error));
      return 0;
    });
    this.#events.disabled(webhook, reason, dropped + unwritten + late);
  }

  close(): void {
    this.#verifier.close();
  }

  /** Another instance leads, another history begins, or this process ends: what was found out here is not written any more. */
  forget(): void {
    this.close();
    this.#forgotten.abort();
    this.#forgotten = new AbortController();
    this.#webhooks = new Map();
    this.#noted.clear();
  }

  #verified(webhook: Webhook): Promise<void> {
    return this.#exclusively(async () => {
      // In memory first: whoever sees the row verified may count on the next commit being delivered.
      this.#set({ ...webhook, verified: true });
      this.#noted.delete(webhook.id);
      if (!(await this.#table.verified(webhook))) await this.#load();
      this.#events.verified(webhook);
    });
  }

  #refused(webhook: Webhook, reason: string, final: boolean): Promise<void> {
    return this.#exclusively(async () => {
      // One that was verified stays so until there is no hope left.
      const known = this.#webhooks.get(webhook.id) ?? webhook;
      const stillVerified = known.verified && !final;
      this.#set({ ...webhook, verified: stillVerified, awaited: known.awaited && !final });
      await this.#table.refused(webhook, reason, stillVerified);
      this.#events.refused(webhook, reason, final);
    });
  }

  /** @param saved of these alone, the unverified ones are challenged; null: all */
  async #load(saved: ReadonlySet<string> | null = null): Promise<void> {
    const webhooks = await this.#table.all();
    const before = this.#webhooks;
    this.#webhooks = new Map(webhooks.map((webhook) => [webhook.id, webhook]));
    for (const id of before.keys()) if (!this.#webhooks.has(id)) this.#verifier.cancel(id);
    await this.#dispatcher.apply(webhooks);
    for (const webhook of webhooks) {
      if (webhook.failureNoted && webhook.verified && !this.#noted.has(webhook.id)) this.#noted.set(webhook.id, 0);
      if (!this.#challenges || !webhook.enabled || webhook.verified || this.#verifier.running(webhook.id)) continue;
      if (saved === null || saved.has(webhook.id) || webhook.awaited) this.#verifier.request(webhook);
    }
  }

  #set(webhook: Webhook): void {
    if (!this.#webhooks.has(webhook.id)) return;
    this.#webhooks.set(webhook.id, webhook);
    this.#dispatcher.endpoint(webhook.id)?.update(webhook);
  }

  /** One after the other: what one has read of the table, another must not have changed meanwhile. */
  #exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
