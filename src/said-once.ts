/** What has been said; bounded, so that endlessly many different things are said again at some time. */
export class SaidOnce {
  readonly #limit: number;
  readonly #said = new Set<string>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @returns whether it is new */
  add(text: string): boolean {
    if (this.#said.has(text)) return false;
    if (this.#said.size >= this.#limit) this.#said.clear();
    this.#said.add(text);
    return true;
  }
}
