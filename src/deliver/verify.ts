import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { errorMessage } from '../errors.js';
import type { Webhook } from '../types.js';
import { EndpointClient, type Answer } from './attempt.js';
import type { Egress } from './egress.js';
import { Signer } from './signature.js';

export interface VerifierOptions {
  readonly egress: Egress;
  readonly timeoutMs: number;
  readonly token: string;
  readonly userAgent: string;
  /** the first pause before another try; it grows fourfold */
  readonly retryBaseMs: number;
}

export interface VerifierEvents {
  /** Resolves when it is stored. */
  verified(webhook: Webhook): Promise<void>;
  /** @param final it is not tried again until the row is saved */
  refused(webhook: Webhook, reason: string, final: boolean): Promise<void>;
  fault(webhook: Webhook, reason: string): void;
}

/** With a base of one second: 1 s, 4 s, 16 s, 64 s, 256 s; some minutes in all. */
const RETRIES = 5;
/** Those that wait are challenged when others have their outcome: the first time before those that are tried again. */
const AT_ONCE = 128;
/** More than setTimeout can take fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

interface Run {
  readonly webhook: Webhook;
  attempts: number;
  timer: NodeJS.Timeout | null;
  cancelled: boolean;
}

/** Challenges endpoints: one that does not echo a fresh random text gets nothing else. */
export class Verifier {
  readonly #options: VerifierOptions;
  readonly #events: VerifierEvents;
  readonly #runs = new Map<string, Run>();
  readonly #waiting = { first: new Set<Run>(), again: new Set<Run>() };
  #underWay = 0;

  constructor(options: VerifierOptions, events: VerifierEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Begins anew, also when one is under way: the row was saved again. */
  request(webhook: Webhook): void {
    this.cancel(webhook.id);
    const run: Run = { webhook, attempts: 0, timer: null, cancelled: false };
    this.#runs.set(webhook.id, run);
    this.#attempt(run);
  }

  running(webhookId: string): boolean {
    return this.#runs.has(webhookId);
  }

  cancel(webhookId: string): void {
    const run = this.#runs.get(webhookId);
    if (run === undefined) return;
    run.cancelled = true;
    if (run.timer !== null) clearTimeout(run.timer);
    this.#waiting.first.delete(run);
    this.#waiting.again.delete(run);
    this.#runs.delete(webhookId);
  }

  close(): void {
    for (const webhookId of this.#runs.keys()) this.cancel(webhookId);
  }

  #attempt(run: Run): void {
    (run.attempts === 0 ? this.#waiting.first : this.#waiting.again).add(run);
    this.#next();
  }

  #next(): void {
    for (const waiting of [this.#waiting.first, this.#waiting.again]) {
      for (const run of waiting) {
        if (this.#underWay >= AT_ONCE) return;
        waiting.delete(run);
        this.#challenge(run).catch((error: unknown) => {
          this.#ended(run);
          this.#events.fault(run.webhook, errorMessage(error));
        });
      }
    }
  }

  async #challenge(run: Run): Promise<void> {
    const { webhook } = run;
    const challenge = randomBytes(24).toString('hex');
    this.#underWay += 1;
    const answer = await this.#post(webhook, challenge).finally(() => {
      this.#underWay -= 1;
      this.#next();
    });
    if (run.cancelled) return;
    run.attempts += 1;
    const { outcome } = answer;
    if (outcome.kind === 'delivered' && echoes(answer.body, challenge)) {
      await this.#events.verified(webhook);
      this.#ended(run);
      return;
    }
    const reason =
      outcome.kind === 'delivered'
        ? `verification failed: the endpoint answered ${outcome.status}, but its body is not the challenge`
        : `verification failed: ${outcome.reason}`;
    const passing = outcome.kind === 'failed' && (outcome.status === null || outcome.status >= 500 || outcome.status === 429);
    const final = !passing || run.attempts > RETRIES;
    if (!final) run.timer = setTimeout(() => this.#attempt(run), Math.min(this.#options.retryBaseMs * 4 ** (run.attempts - 1), LONGEST_TIMER_MS));
    await this.#events.refused(webhook, reason, final);
    if (final) this.#ended(run);
  }

  /** Only once its result is stored: until then the row still reads as before, and must not be challenged for that. */
  #ended(run: Run): void {
    if (this.#runs.get(run.webhook.id) === run) this.#runs.delete(run.webhook.id);
  }

  async #post(webhook: Webhook, challenge: string): Promise<Answer> {
    const { egress, timeoutMs, token, userAgent } = this.#options;
    let client: EndpointClient;
    try {
      client = new EndpointClient(webhook.endpoint, 1, timeoutMs, egress);
    } catch {
      return { outcome: { kind: 'failed', status: 400, reason: 'the endpoint is not a valid URL', retryAfterMs: null }, body: '' };
    }
    const body = Buffer.from(JSON.stringify({ token: webhook.token ?? token, type: 'url_verification', challenge }));
    // Signed like everything else, so that a receiver that checks every request can be verified.
    const id = `verification-${randomBytes(12).toString('hex')}`;
    const timestamp = Math.floor(Date.now() / 1000);
    const headers = ['content-type', 'application/json', 'user-agent', userAgent, 'webhook-id', id, 'webhook-timestamp', String(timestamp)];
    if (webhook.secret !== null) headers.push('webhook-signature', new Signer(webhook.secret).sign(id, timestamp, body));
    const answer = await new Promise<Answer>((resolve) => client.send({ headers, body: { parts: [body], bytes: body.length }, keepBody: true }, resolve));
    await client.destroy();
    return answer;
  }
}

const echo = z.union([z.string(), z.object({ challenge: z.string() }).transform((object) => object.challenge)]);

/** The challenge as plain text, as a JSON string, or as {"challenge": "…"}. */
export function echoes(body: string, challenge: string): boolean {
  const text = body.trim();
  if (text === challenge) return true;
  try {
    const parsed = echo.safeParse(JSON.parse(text));
    return parsed.success && parsed.data === challenge;
  } catch {
    return false;
  }
}
