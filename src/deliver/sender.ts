import { formatLsn } from '../lsn.js';
import type { Outcome, Webhook } from '../types.js';
import type { EndpointClient } from './attempt.js';
import { bodyHead, bodyOf } from './body.js';
import type { Note } from './delivery.js';
import { Signer } from './signature.js';

/** Sends requests to one address. */
export type Client = Pick<EndpointClient, 'send' | 'retire' | 'destroy'>;

export interface SenderOptions {
  /** @throws {TypeError} when the endpoint is no URL */
  readonly connect: (endpoint: string, connections: number) => Client;
  /** of endpoints that have none of their own */
  readonly token: string;
  readonly userAgent: string;
}

/** Makes the requests to one endpoint: where they go, with which token, signed with what. */
export class Sender {
  readonly #options: SenderOptions;
  #webhook: Webhook | null = null;
  #client: Client | null = null;
  #signer: Signer | null = null;
  /** with which each body begins */
  #head: Buffer = Buffer.alloc(0);

  constructor(options: SenderOptions, webhook: Webhook) {
    this.#options = options;
    this.change(webhook);
  }

  /** What is under way goes on as it was. */
  change(webhook: Webhook): void {
    const before = this.#webhook;
    this.#webhook = webhook;
    const { endpoint, maxInFlight, secret, token } = webhook;
    if (before === null || before.token !== token) this.#head = bodyHead(token ?? this.#options.token);
    if (before === null || before.secret !== secret) this.#signer = secret === null ? null : new Signer(secret);
    if (before !== null && before.endpoint === endpoint && before.maxInFlight === maxInFlight) return;
    const old = this.#client;
    try {
      this.#client = this.#options.connect(endpoint, maxInFlight);
    } catch {
      // The table's constraint lets some texts pass that are no URL; every attempt says so.
      this.#client = null;
    }
    old?.retire().catch(() => undefined);
  }

  /** Calls `done` exactly once, later than this call returns. */
  send(note: Note, more: readonly string[], done: (outcome: Outcome) => void): void {
    if (this.#client === null) {
      queueMicrotask(() => done({ kind: 'failed', status: null, reason: 'the endpoint is not a valid URL', retryAfterMs: null }));
      return;
    }
    const { notificationId, lsn, replay } = note;
    const body = bodyOf(note, this.#head);
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = ['content-type', 'application/json', 'user-agent', this.#options.userAgent, 'webhook-id', notificationId, 'webhook-timestamp', String(timestamp), 'slackchat-commit-lsn', formatLsn(lsn), ...more];
    if (replay) headers.push('slackchat-replay', 'true');
    if (this.#signer !== null) headers.push('webhook-signature', this.#signer.sign(notificationId, timestamp, ...body.parts));
    this.#client.send({ headers, body }, ({ outcome }) => done(outcome));
  }

  /** Ends all connections; what is under way fails. */
  async destroy(): Promise<void> {
    await this.#client?.destroy();
  }
}
