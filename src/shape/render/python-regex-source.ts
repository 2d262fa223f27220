import { PythonError } from './python-errors.js';

export const regexError = (message: string, position: number): PythonError =>
  new PythonError('re.error', `${message} at position ${position}`);

/** Reads a pattern code point by code point; a backslash and what follows it are one piece. */
export class RegexSource {
  readonly #characters: readonly string[];
  #index = 0;
  /** the piece that comes next, null at the end */
  next: string | null = null;

  constructor(pattern: string) {
    this.#characters = Array.from(pattern);
    this.#advance();
  }

  #advance(): void {
    const character = this.#characters[this.#index];
    if (character === undefined) {
      this.next = null;
      return;
    }
    this.#index += 1;
    if (character !== '\\') {
      this.next = character;
      return;
    }
    const escaped = this.#characters[this.#index];
    if (escaped === undefined) throw regexError('bad escape (end of pattern)', this.#index - 1);
    this.#index += 1;
    this.next = character + escaped;
  }

  get(): string | null {
    const piece = this.next;
    this.#advance();
    return piece;
  }

  match(piece: string): boolean {
    if (this.next !== piece) return false;
    this.#advance();
    return true;
  }

  /** Up to `count` pieces that the test takes. */
  getWhile(count: number, test: RegExp): string {
    let text = '';
    for (let i = 0; i < count && this.next !== null && test.test(this.next); i += 1) text += this.get();
    return text;
  }

  /** A name up to, and without, its end mark, which is taken. */
  getUntil(end: string, what: string): string {
    let text = '';
    for (;;) {
      const piece = this.get();
      if (piece === null) {
        throw text === ''
          ? this.error(`missing ${what}`)
          : this.error(`missing ${end}, unterminated name`, length(text));
      }
      if (piece === end) {
        if (text === '') throw this.error(`missing ${what}`, 1);
        return text;
      }
      text += piece;
    }
  }

  /** The position of the next piece. */
  tell(): number {
    return this.#index - (this.next === null ? 0 : length(this.next));
  }

  seek(position: number): void {
    this.#index = position;
    this.#advance();
  }

  error(message: string, back = 0): PythonError {
    return regexError(message, this.tell() - back);
  }
}

/** in code points */
export const length = (text: string): number => Array.from(text).length;
