import { isLetter, StartTags } from './markdown-html-tags.js';
import { firstFrom, isBlank, positionsOf } from './markdown-text.js';
import { isBlockTag } from './markdown-tree.js';
import type { RawHtml } from './markdown-raw.js';

/** White space of a regular expression as Python has it. */
const S = String.raw`[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;
const END_TAG = new RegExp(String.raw`</${S}*([a-zA-Z][-.a-zA-Z0-9:_]*)${S}*>`, 'uy');
const LOOSE_END_TAG = /[a-zA-Z][^\t\n\r\f />\0]*/uy;
const CHARACTER_REFERENCE = /&#(?:[0-9]+|[xX][0-9a-fA-F]+)(?![0-9a-fA-F])/uy;
const ENTITY = /&([a-zA-Z][-.a-zA-Z0-9]*);/uy;
const SECTION_NAME = new RegExp(String.raw`([a-zA-Z][-_.a-zA-Z0-9]*)${S}*`, 'uy');
const BLANK_LINE = /(?: *\n){2}/uy;
const SCRIPT_END = new RegExp(String.raw`</${S}*script${S}*>`, 'giu');
const STYLE_END = new RegExp(String.raw`</${S}*style${S}*>`, 'giu');
const SECTIONS = new Set(['temp', 'cdata', 'ignore', 'include', 'rcdata']);
const OFFICE_SECTIONS = new Set(['if', 'else', 'endif']);

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** A search that only goes forward: what it found, or that there is nothing, holds for every later start before it. */
class Forward {
  private from = -1;
  private found: { readonly start: number; readonly end: number } | null = null;
  private readonly text: string;
  private readonly pattern: RegExp;

  constructor(text: string, pattern: string) {
    this.text = text;
    this.pattern = new RegExp(pattern, 'gu');
  }

  next(at: number): { readonly start: number; readonly end: number } | null {
    if (this.from >= 0 && at >= this.from && (this.found === null || at <= this.found.start)) return this.found;
    const match = matchAt(this.pattern, this.text, at);
    this.from = at;
    this.found = match === null ? null : { start: match.index, end: match.index + match[0].length };
    return this.found;
  }
}

/**
 * Takes blocks of raw HTML out of a text and leaves a mark for each. The application's parser stands on Python's HTML
 * parser, which it runs twice: over everything until something is incomplete, and from there again as if nothing
 * more could come. The second run still counts lines from the start of the text but looks for them from its own
 * start, which decides whether a tag is at the start of a line; that is kept here.
 */
class Extractor {
  private readonly text: string;
  private readonly raw: RawHtml;
  private readonly tags: StartTags;
  private readonly newlines: readonly number[];
  /** The second halves of characters outside the basic plane, and how many characters are before each of those. */
  private readonly halves: readonly number[];
  private readonly wide: readonly number[];
  private readonly closers: readonly number[];
  private readonly commentEnd: Forward;
  private readonly instructionEnd: Forward;
  private readonly sectionEnd: Forward;
  private readonly officeEnd: Forward;
  /** Where the present run's text begins. */
  private base = 0;
  private at = 0;
  private line = 0;
  /** In characters, as Python counts. */
  private column = 0;
  private plainUntil: RegExp | null = null;
  private plainTag = '';
  private inRaw = false;
  private inTail = false;
  private open: string[] = [];
  private readonly openCount = new Map<string, number>();
  private held: string[] = [];
  private readonly out: string[] = [];

  constructor(text: string, raw: RawHtml) {
    this.text = text;
    this.raw = raw;
    this.tags = new StartTags(text);
    this.newlines = positionsOf(text, '\n');
    this.closers = positionsOf(text, '>');
    this.halves = halvesIn(text);
    this.wide = this.halves.map((half, index) => half - 1 - index);
    this.commentEnd = new Forward(text, `--${S}*>`);
    this.instructionEnd = new Forward(text, String.raw`\?>`);
    this.sectionEnd = new Forward(text, String.raw`\]${S}*\]${S}*>`);
    this.officeEnd = new Forward(text, String.raw`\]${S}*>`);
  }

  extract(): string {
    this.scan(false);
    this.base = this.at;
    this.scan(true);
    if (this.at < this.text.length) this.data(this.text.slice(this.at));
    if (this.held.length > 0) this.out.push(this.raw.store(this.held.join('')));
    return this.out.join('');
  }

  private scan(last: boolean): void {
    const { text } = this;
    while (this.at < text.length) {
      const next = this.nextMarkup();
      if (next < 0) return;
      if (next > this.at) this.data(text.slice(this.at, next));
      this.moveTo(next);
      if (next === text.length) return;
      const goesOn = text[next] === '<' ? this.angle(last) : this.ampersand();
      if (!goesOn) break;
    }
    if (last && this.at < text.length && this.plainUntil === null) {
      this.data(text.slice(this.at));
      this.moveTo(text.length);
    }
  }

  private nextMarkup(): number {
    if (this.plainUntil !== null) return matchAt(this.plainUntil, this.text, this.at)?.index ?? -1;
    for (let at = this.at; at < this.text.length; at += 1) {
      const code = this.text.charCodeAt(at);
      if (code === 0x26 || code === 0x3c) return at;
    }
    return this.text.length;
  }

  private angle(last: boolean): boolean {
    const { text, at } = this;
    let end = this.markup(at);
    if (end === null) return false;
    if (end < 0) {
      if (!last) return false;
      end = this.closerFrom(at + 1) + 1;
      if (end === 0) end = text.indexOf('<', at + 1);
      if (end < 0) end = at + 1;
      this.data(text.slice(at, end));
    }
    this.moveTo(end);
    return true;
  }

  /** The end of what begins with `<` here, -1 when it has none, null when nothing follows. */
  private markup(at: number): number | null {
    const { text } = this;
    if (isLetter(text.charCodeAt(at + 1))) return this.startTag(at);
    if (text.startsWith('</', at)) return this.endTag(at);
    if (text.startsWith('<!--', at)) return this.comment(at);
    if (text.startsWith('<?', at)) return this.instruction(at);
    if (text.startsWith('<!', at)) return this.declaration(at);
    if (at + 1 >= text.length) return null;
    return this.asData(at, 1);
  }

  private asData(at: number, length: number): number {
    this.data(this.text.slice(at, at + length));
    return at + length;
  }

  private ampersand(): boolean {
    const { text, at } = this;
    if (text[at + 1] === '#') {
      const reference = matchAt(CHARACTER_REFERENCE, text, at)?.[0];
      if (reference === undefined) {
        if (text.includes(';', at)) this.moveTo(this.asData(at, 2));
        return false;
      }
      this.empty(`${reference};`, false);
      this.moveTo(at + reference.length + (text[at + reference.length] === ';' ? 1 : 0));
      return true;
    }
    const entity = matchAt(ENTITY, text, at)?.[0];
    if (entity !== undefined) {
      this.empty(entity, false);
      this.moveTo(at + entity.length);
      return true;
    }
    if (at + 1 >= text.length) return false;
    this.moveTo(this.asData(at, 1));
    return true;
  }

  private startTag(at: number): number {
    const tag = this.tags.read(at);
    if (tag === null) return -1;
    const source = this.text.slice(at, tag.end);
    if (tag.name === null) this.data(source);
    else if (tag.closed || tag.name === 'hr') this.empty(source, isBlockTag(tag.name));
    else this.opened(tag.name, source);
    return tag.end;
  }

  private opened(name: string, source: string): void {
    if (isBlockTag(name) && (this.inTail || (this.atLineStart() && !this.inRaw))) {
      this.inRaw = true;
      this.out.push('\n');
    }
    if (!this.inRaw) {
      this.out.push(source);
      return;
    }
    this.open.push(name);
    this.openCount.set(name, (this.openCount.get(name) ?? 0) + 1);
    this.held.push(source);
    if (name === 'script' || name === 'style') {
      this.plainTag = name;
      this.plainUntil = name === 'script' ? SCRIPT_END : STYLE_END;
    }
  }

  private endTag(at: number): number {
    const { text } = this;
    const closer = this.closerFrom(at + 1);
    if (closer < 0) return -1;
    const strict = matchAt(END_TAG, text, at);
    if (strict !== null) {
      const name = (strict[1] ?? '').toLowerCase();
      if (this.plainUntil !== null && name !== this.plainTag) return this.asData(at, closer + 1 - at);
      this.closed(name);
      this.plainUntil = null;
      return closer + 1;
    }
    if (this.plainUntil !== null) return this.asData(at, closer + 1 - at);
    const loose = matchAt(LOOSE_END_TAG, text, at + 2)?.[0];
    if (loose !== undefined) {
      this.closed(loose.toLowerCase());
      return this.closerFrom(at + 2 + loose.length) + 1;
    }
    if (text[at + 2] === '>') return at + 3;
    return this.bogusComment(at);
  }

  private closed(name: string): void {
    const start = this.supposed(this.column);
    const closer = this.closerFrom(start);
    const source = closer < 0 ? `</${name}>` : this.text.slice(start, closer + 1);
    if (!this.inRaw) {
      this.out.push(source);
      return;
    }
    this.held.push(source);
    if ((this.openCount.get(name) ?? 0) > 0) this.closeUpTo(name);
    if (this.open.length > 0) return;
    if (matchAt(BLANK_LINE, this.text, start + source.length) !== null) this.held.push('\n');
    else this.inTail = true;
    this.inRaw = false;
    this.out.push(this.raw.store(this.held.join('')), '\n\n');
    this.held = [];
  }

  private closeUpTo(name: string): void {
    for (let top = this.open.pop(); top !== undefined; top = this.open.pop()) {
      this.openCount.set(top, (this.openCount.get(top) ?? 0) - 1);
      if (top === name) return;
    }
  }

  private comment(at: number): number {
    const end = this.commentEnd.next(at + 4);
    if (end === null) return -1;
    this.empty(`<!--${this.text.slice(at + 4, end.start)}-->`, true);
    return end.end;
  }

  private bogusComment(at: number): number {
    const closer = this.closerFrom(at + 2);
    if (closer < 0) return -1;
    this.empty(`<!--${this.text.slice(at + 2, closer)}-->`, true);
    return closer + 1;
  }

  private instruction(at: number): number {
    if (!this.atLineStart() && !this.inTail) return this.asData(at, 2);
    const end = this.instructionEnd.next(at + 2);
    if (end === null) return -1;
    this.empty(this.text.slice(at, end.end), true);
    return end.end;
  }

  private declaration(at: number): number {
    const { text } = this;
    if (!this.atLineStart() && !this.inTail) return this.asData(at, 2);
    if (text[at + 2] === '[') return this.section(at);
    if (text.slice(at, at + 9).toLowerCase() !== '<!doctype') return this.bogusComment(at);
    const closer = this.closerFrom(at + 9);
    if (closer < 0) return -1;
    this.empty(text.slice(at, closer + 1), true);
    return closer + 1;
  }

  /** `<![CDATA[ … ]]>` and the like. Where Python's parser would fail (another word) it is text. */
  private section(at: number): number {
    const { text } = this;
    if (at + 3 === text.length) return -1;
    const name = matchAt(SECTION_NAME, text, at + 3);
    if (name === null) return this.asData(at, 2);
    if (at + 3 + name[0].length === text.length) return -1;
    const word = (name[1] ?? '').toLowerCase();
    if (!SECTIONS.has(word) && !OFFICE_SECTIONS.has(word)) return this.asData(at, 2);
    const end = (SECTIONS.has(word) ? this.sectionEnd : this.officeEnd).next(at + 3);
    if (end === null) return -1;
    const inside = text.slice(at + 3, end.start);
    this.empty(`<![${inside}${inside.startsWith('CDATA[') ? ']]>' : ']>'}`, true);
    return end.end;
  }

  private data(data: string): void {
    if (this.inTail && data.includes('\n')) this.inTail = false;
    (this.inRaw ? this.held : this.out).push(data);
  }

  /** What has no content: a tag closed in itself, a comment, an entity. */
  private empty(data: string, block: boolean): void {
    if (this.inRaw || this.inTail) {
      this.held.push(data);
      return;
    }
    if (!block || !this.atLineStart()) {
      this.out.push(data);
      return;
    }
    const after = this.supposed(this.column + Array.from(data).length);
    const blankFollows = matchAt(BLANK_LINE, this.text, after) !== null;
    if (!blankFollows) this.inTail = true;
    const before = this.out.at(-1) ?? '';
    if (!before.endsWith('\n\n') && before.endsWith('\n')) this.out.push('\n');
    this.out.push(this.raw.store(blankFollows ? `${data}\n` : data), '\n\n');
  }

  private moveTo(end: number): void {
    if (end <= this.at) return;
    const lines = firstFrom(this.newlines, end);
    const characters = this.charactersBefore(end);
    if (lines > this.line) this.column = characters - this.charactersBefore((this.newlines[lines - 1] ?? 0) + 1);
    else this.column += characters - this.charactersBefore(this.at);
    this.line = lines;
    this.at = end;
  }

  private closerFrom(at: number): number {
    return this.closers[firstFrom(this.closers, at)] ?? -1;
  }

  private charactersBefore(at: number): number {
    return at - firstFrom(this.halves, at);
  }

  /** So many characters after where the line is taken to start. */
  private supposed(column: number): number {
    const character = this.charactersBefore(this.lineStart()) + column;
    return character + firstFrom(this.wide, character);
  }

  private lineStart(): number {
    const first = firstFrom(this.newlines, this.base);
    if (this.line === 0 || first === this.newlines.length) return this.base;
    const last = this.newlines[first + this.line - 1];
    return last === undefined ? (this.newlines.at(-1) ?? 0) : last + 1;
  }

  private atLineStart(): boolean {
    if (this.column === 0) return true;
    if (this.column > 3) return false;
    return isBlank(this.text.slice(this.lineStart(), this.supposed(this.column)));
  }
}

function halvesIn(text: string): number[] {
  const halves: number[] = [];
  for (let at = 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 0xdc00 && code <= 0xdfff && (text.codePointAt(at - 1) ?? 0) > 0xffff) halves.push(at);
  }
  return halves;
}

export function extractHtml(text: string, raw: RawHtml): string {
  if (!text.includes('<') && !text.includes('&')) return text;
  return new Extractor(text, raw).extract();
}
