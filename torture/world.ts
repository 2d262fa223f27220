import type { Random } from './random.js';

/** What the sessions know of the chat; a message may be gone all the same. */
export class ChatWorld {
  readonly userIds: readonly number[];
  readonly chatTypeIds: readonly number[];
  /** these stay for the whole run */
  readonly channelIds: readonly string[];
  readonly webhookIds: readonly string[];
  /** functions of the bridge that this version has */
  readonly functions: ReadonlySet<string>;
  /** called before an endpoint that is verified is challenged again */
  onVerify: (webhookId: string) => void = () => undefined;
  readonly #messages: number[] = [];
  #serial = 0;
  #bulks = 0;

  constructor(parts: { userIds: readonly number[]; chatTypeIds: readonly number[]; channelIds: readonly string[]; webhookIds: readonly string[]; functions: ReadonlySet<string> }) {
    ({ userIds: this.userIds, chatTypeIds: this.chatTypeIds, channelIds: this.channelIds, webhookIds: this.webhookIds, functions: this.functions } = parts);
  }

  /** Every text and every child has its own, so that a state can be told from any other. */
  serial(prefix: string): string {
    this.#serial += 1;
    return `${prefix}${this.#serial}`;
  }

  /** Seconds apart, in years that nothing else uses: a bulk's messages are microseconds apart. */
  bulkInstant(): string {
    this.#bulks += 1;
    return new Date(Date.UTC(2040, 0, 1) + this.#bulks * 1_000).toISOString();
  }

  remember(messageId: number): void {
    this.#messages.push(messageId);
  }

  forgetMessages(): void {
    this.#messages.length = 0;
  }

  /** Mostly one of a few, so that much happens to the same message. */
  message(random: Random): number {
    if (this.#messages.length === 0) return 0;
    return random.pick(random.chance(0.7) ? this.#messages.slice(-10) : this.#messages);
  }
}
