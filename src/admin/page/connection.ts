import type { LiveEvents } from '../events.js';

export interface Listener {
  event<K extends keyof LiveEvents>(name: K, data: LiveEvents[K]): void;
  connected(): void;
  /** it is tried again by itself */
  lost(reason: string): void;
  /** the ADMIN_TOKEN is needed, or the one that was given is not it */
  tokenWanted(wrong: boolean): void;
}

const TOKEN_KEY = 'slackchat-bridge-admin-token';
/** The bridge says something every second. */
const SILENCE_MS = 8_000;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 10_000;
const EVENTS: readonly string[] = ['status', 'endpoints', 'dead', 'spans', 'attempts'] satisfies readonly (keyof LiveEvents)[];

/** Server-sent events over fetch: an EventSource can send no token. */
export class Connection {
  readonly #listener: Listener;
  #current: AbortController | null = null;
  #retry: number | undefined;
  #pause = RETRY_MS;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** For this tab only, until it is closed. */
  useToken(token: string): void {
    sessionStorage.setItem(TOKEN_KEY, token);
    this.open();
  }

  get isOpen(): boolean {
    return this.#current !== null;
  }

  open(): void {
    this.close();
    const current = new AbortController();
    this.#current = current;
    this.#listen(current).then(
      () => this.#again(current, 'the bridge ended the connection'),
      (error: unknown) => this.#again(current, error instanceof Error ? error.message : String(error)),
    );
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#current?.abort();
    this.#current = null;
  }

  /** @returns why it was not done; null: it was asked for */
  async post(path: string): Promise<string | null> {
    try {
      const response = await fetch(path, { method: 'POST', headers: { ...this.#headers(), 'content-type': 'application/json' }, body: '{}' });
      if (response.ok) return null;
      if (response.status === 401) this.#listener.tokenWanted(true);
      const text = await response.text();
      return reasonIn(text) ?? text.trim();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #listen(current: AbortController): Promise<void> {
    const response = await fetch('/api/events', { headers: this.#headers(), signal: current.signal, cache: 'no-store' });
    if (response.status === 401) {
      this.#current = null;
      this.#listener.tokenWanted(sessionStorage.getItem(TOKEN_KEY) !== null);
      return;
    }
    if (!response.ok || response.body === null) throw new Error((await response.text()).trim() || `status ${response.status}`);
    this.#listener.connected();
    this.#pause = RETRY_MS;
    const silent = (): number => setTimeout(() => current.abort(new Error('the bridge has gone silent')), SILENCE_MS);
    let watch = silent();
    let rest = '';
    try {
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        clearTimeout(watch);
        watch = silent();
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) this.#take(block);
      }
    } finally {
      clearTimeout(watch);
    }
  }

  #take(block: string): void {
    const name = /^event: (?<name>\w+)$/mu.exec(block)?.groups?.['name'];
    const data = /^data: (?<data>.*)$/mu.exec(block)?.groups?.['data'];
    // A bridge of a newer version may say more.
    if (name === undefined || data === undefined || !isEvent(name)) return;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the bridge that this page is from has written it
    this.#listener.event(name, JSON.parse(data) as LiveEvents[typeof name]);
  }

  #again(current: AbortController, reason: string): void {
    if (this.#current !== current) return;
    this.#listener.lost(reason);
    this.#retry = setTimeout(() => this.open(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, RETRY_MAX_MS);
  }

  #headers(): Record<string, string> {
    const token = sessionStorage.getItem(TOKEN_KEY);
    return token === null ? {} : { authorization: `Bearer ${token}` };
  }
}

function isEvent(name: string): name is keyof LiveEvents {
  return EVENTS.includes(name);
}

function reasonIn(text: string): string | null {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' && answer !== null && 'error' in answer && typeof answer.error === 'string' ? answer.error : null;
  } catch {
    return null;
  }
}
