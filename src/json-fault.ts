/** Space, then one token; nothing but space at the end. */
const TOKEN = /[\t\n\r ]*(?:(?<mark>[{}[\],:])|(?<string>"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4}))*")|(?<other>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true\b|false\b|null\b)|(?<end>$))/uy;

interface Token {
  readonly kind: 'mark' | 'string' | 'other' | 'end';
  readonly text: string;
  readonly at: number;
}

class Fault extends Error {
  readonly at: number;

  constructor(what: string, at: number) {
    super(what);
    this.at = at;
  }
}

/**
 * Where and why a text is no JSON, or has a key twice in one object, of which JSON.parse would keep
 * the last without a word. JSON.parse itself does not always say where.
 * @returns null when there is nothing wrong
 */
export function jsonFault(text: string): string | null {
  try {
    new Scanner(text).document();
    return null;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const before = text.slice(0, error.at).split('\n');
    return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}: ${error.message}`;
  }
}

const DEEPEST = 100;

class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value(this.#next());
    const { kind, at } = this.#next();
    if (kind !== 'end') throw new Fault('something follows the end', at);
  }

  #value(token: Token): void {
    if (token.kind === 'string' || token.kind === 'other') return;
    if (token.text !== '{' && token.text !== '[') throw new Fault(`${spell(token)} where a value belongs`, token.at);
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw new Fault('nested too deeply', token.at);
    if (token.text === '{') this.#members();
    else this.#items();
    this.#depth -= 1;
  }

  #members(): void {
    const keys = new Set<string>();
    let token = this.#next();
    if (token.text === '}') return;
    for (;;) {
      if (token.kind !== 'string') throw new Fault(`${spell(token)} where a key in double quotes belongs`, token.at);
      // Spelled differently, with escapes, it can still be the same.
      const key = String(JSON.parse(token.text));
      if (keys.has(key)) throw new Fault(`the key ${JSON.stringify(key)} is given twice`, token.at);
      keys.add(key);
      this.#expect(':');
      this.#value(this.#next());
      if (this.#expect(',', '}') === '}') return;
      token = this.#next();
    }
  }

  #items(): void {
    let token = this.#next();
    if (token.text === ']') return;
    for (;;) {
      this.#value(token);
      if (this.#expect(',', ']') === ']') return;
      token = this.#next();
    }
  }

  #expect(...marks: readonly string[]): string {
    const token = this.#next();
    if (token.kind !== 'mark' || !marks.includes(token.text)) {
      throw new Fault(`${spell(token)} where ${marks.map((mark) => `'${mark}'`).join(' or ')} belongs`, token.at);
    }
    return token.text;
  }

  #next(): Token {
    TOKEN.lastIndex = this.#at;
    const groups = TOKEN.exec(this.#text)?.groups;
    if (groups === undefined) {
      const at = this.#at + (/^[\t\n\r ]*/u.exec(this.#text.slice(this.#at))?.[0].length ?? 0);
      throw new Fault(`${JSON.stringify(/^"?[^\s,:{}[\]]*/u.exec(this.#text.slice(at))?.[0].slice(0, 20) ?? '')} is no JSON`, at);
    }
    this.#at = TOKEN.lastIndex;
    for (const kind of ['mark', 'string', 'other', 'end'] as const) {
      const text = groups[kind];
      if (text !== undefined) return { kind, text, at: this.#at - text.length };
    }
    throw new Fault('nothing', this.#at);
  }
}

function spell(token: Token): string {
  return token.kind === 'end' ? 'the end' : token.text.length > 20 ? `${token.text.slice(0, 20)}…` : token.text;
}
