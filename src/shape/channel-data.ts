import { errorMessage } from '../errors.js';
import { delay } from '../time.js';
import type { Row } from '../types.js';
import { channelFrame, channelUser, type ChannelFrame } from './channel.js';
import type { Children } from './coalesce.js';
import type { Directory } from './directory.js';
import type { ChannelJson } from './payload.js';

export interface ChannelVisit {
  channel(channel: Row, chatType: Row | null, at: string): void;
  messages(messages: readonly { readonly id: string; readonly row: Row; readonly children: Children }[], users: readonly Row[]): Promise<void>;
}

/** One channel in one snapshot, in batches. */
export interface ChannelSource {
  read(channelId: string, maxBytes: number, visit: ChannelVisit): Promise<'read' | 'missing' | 'large'>;
}

export interface ChannelDataOptions {
  readonly mediaUrl: string;
  /** a larger channel is not serialized */
  readonly maxBytes: number;
  /** Loads the names that the messages refer to, and serializes them. */
  readonly serialize: (messages: readonly { readonly row: Row; readonly children: Children }[]) => Promise<readonly string[]>;
  readonly markdown: (text: string) => Promise<string>;
  readonly onFault: (channelId: string, reason: string, retryInMs: number) => void;
  readonly onLeftOut: (channelId: string, reason: string) => void;
}

class TooLarge extends Error {}

/**
 * `channel_data` of explicit requests: the channel as the application serializes it, made beside the
 * stream, one channel at a time, so that no more than one is being put together in memory.
 */
export class ChannelData {
  readonly #source: ChannelSource;
  readonly #directory: Directory;
  readonly #options: ChannelDataOptions;
  #last: Promise<unknown> = Promise.resolve();
  #cancelled = new AbortController();

  constructor(source: ChannelSource, directory: Directory, options: ChannelDataOptions) {
    this.#source = source;
    this.#directory = directory;
    this.#options = options;
  }

  /** What was asked for is wanted no more. */
  cancel(): void {
    this.#cancelled.abort();
    this.#cancelled = new AbortController();
    this.#last = Promise.resolve();
  }

  /**
   * The channel as the text of a JSON string, with its quotes; 'null' where it is gone. A fault of the
   * database is tried again until it is mended.
   * @returns `made`: null when it was cancelled; `done`: to be called when what was made is no longer in memory, the next is not begun before
   */
  make(channelId: string): { readonly made: Promise<ChannelJson | null>; readonly done: () => void } {
    const { signal } = this.#cancelled;
    const made = this.#last.then(() => this.#persist(channelId, signal));
    let done: () => void = () => undefined;
    this.#last = new Promise<void>((resolve) => {
      done = resolve;
    });
    return { made, done };
  }

  async #persist(channelId: string, signal: AbortSignal): Promise<ChannelJson | null> {
    for (let pause = 100; !signal.aborted; pause = Math.min(pause * 2, 5_000)) {
      try {
        return await this.#serialize(channelId, signal);
      } catch (error) {
        if (signal.aborted) return null;
        if (error instanceof TooLarge) return this.#tooLarge();
        this.#options.onFault(channelId, errorMessage(error), pause);
        await delay(pause, signal);
      }
    }
    return null;
  }

  async #serialize(channelId: string, signal: AbortSignal): Promise<ChannelJson> {
    const { maxBytes, mediaUrl, serialize, onLeftOut } = this.#options;
    const directory = this.#directory;
    await directory.ensureChannels([channelId]);
    const pieces: string[] = [];
    const users = new Map<string, string>();
    let found: { readonly channel: Row; readonly chatType: Row | null; readonly at: string } | null = null;
    let size = 0;
    const result = await this.#source.read(channelId, maxBytes, {
      channel(channel, chatType, at) {
        found = { channel, chatType, at };
      },
      async messages(messages, named) {
        signal.throwIfAborted();
        for (const user of named) {
          const apiId = user['api_id'] ?? directory.user(user['id'] ?? '') ?? '';
          if (!users.has(apiId)) users.set(apiId, channelUser(user, mediaUrl));
        }
        const piece = escaped((await serialize(messages)).join(','));
        size += piece.length + 1;
        if (size > maxBytes) throw new TooLarge();
        pieces.push(piece);
      },
    });
    if (result === 'large') return this.#tooLarge();
    if (result === 'missing' || found === null) {
      onLeftOut(channelId, 'the channel is not in the database any more');
      return { json: 'null' };
    }
    const { head, tail } = await this.#frame(channelId, found);
    const named = `{${Array.from(users, ([apiId, user]) => `${JSON.stringify(apiId)}:${user}`).join(',')}}`;
    return { json: `"${escaped(`${head}${named},"messages":[`)}${pieces.join(',')}${escaped(`]${tail}`)}"` };
  }

  async #frame(channelId: string, { channel, chatType, at }: { readonly channel: Row; readonly chatType: Row | null; readonly at: string }): Promise<ChannelFrame> {
    const introduction = channel['introduction'] ?? null;
    const toHtml = chatType?.['render_to_html']?.startsWith('t') === true;
    const named = chatType ?? { name: this.#directory.chatType(channelId) };
    return channelFrame(channel, named, toHtml && introduction !== null ? await this.#options.markdown(introduction) : introduction, at);
  }

  #tooLarge(): ChannelJson {
    return { tooLarge: `channel_data is too large: more than ${this.#options.maxBytes} bytes, half of MAX_BUFFER_MB or MAX_PAYLOAD_MB, whichever is more` };
  }
}

/** The inside of a JSON string. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
