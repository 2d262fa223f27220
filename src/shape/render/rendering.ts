import { ImpatientError } from './python-errors.js';
import type { Rendered } from './templates.js';
import { TextRenderer, type RendererRows } from './text.js';

/** Longer texts are rendered beside; Markdown of shorter ones takes some milliseconds at the most. */
const INLINE_CHARACTERS = 4_000;
/** Of the searches for one text, 12 ms; then they are made beside, and those for the chat type's other texts too for a minute. */
const INLINE_STEPS = 500_000;
const BESIDE_MS = 60_000;

/** In a thread of its own; null: it took too long, and is given up. Rejects when the process ends. */
export type Beside = (request: RendererRows & { readonly text: string }) => Promise<Rendered | null>;

/** Renders texts so that none of them keeps the process from its other work for long. */
export class Rendering {
  readonly #beside: Beside;
  readonly #maxCharacters: number;
  readonly #besideUntil = new WeakMap<TextRenderer, number>();
  readonly #markdown = new TextRenderer([], true);

  /** @param maxCharacters longer texts are not rendered: what they are in is too large to be sent */
  constructor(beside: Beside, maxCharacters: number) {
    this.#beside = beside;
    this.#maxCharacters = maxCharacters;
  }

  /** null: it is given up; the text stays as it is. */
  render(renderer: TextRenderer, text: string): Rendered | null | Promise<Rendered | null> {
    if (text.length > this.#maxCharacters) return null;
    const now = performance.now();
    if (text.length <= INLINE_CHARACTERS && now >= (this.#besideUntil.get(renderer) ?? 0)) {
      try {
        return renderer.render(text, { steps: INLINE_STEPS });
      } catch (error) {
        if (!(error instanceof ImpatientError)) throw error;
        this.#besideUntil.set(renderer, now + BESIDE_MS);
      }
    }
    return this.#beside({ ...renderer.rows, text });
  }

  /** A channel's introduction. */
  async markdown(text: string): Promise<string> {
    return (await this.render(this.#markdown, text))?.content ?? text;
  }
}
