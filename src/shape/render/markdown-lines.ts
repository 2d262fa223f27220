import { skipBlanks } from './markdown-text.js';

/**
 * Finds the line of a text where a heading, a rule or a quote begins. Blocks are ranges of one text and are looked
 * through from front to back, so what was found once holds for every later start before it.
 */

export interface Range {
  readonly source: Source;
  readonly from: number;
  readonly to: number;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Heading extends Span {
  readonly level: number;
  readonly title: Span;
}

type Look<T extends Span> = (text: string, start: number, end: number) => T | null;

class Finder<T extends Span> {
  private from = -1;
  private found: T | null = null;
  private readonly text: string;
  private readonly look: Look<T>;

  constructor(text: string, look: Look<T>) {
    this.text = text;
    this.look = look;
  }

  /** The first line found in a range that begins and ends as lines do. */
  within(from: number, to: number): T | null {
    const holds = this.from >= 0 && from >= this.from && (this.found === null || from <= this.found.start);
    if (!holds) {
      this.from = from;
      this.found = this.search(from);
    }
    return this.found !== null && this.found.start < to ? this.found : null;
  }

  private search(from: number): T | null {
    for (let start = from; start < this.text.length; ) {
      const newline = this.text.indexOf('\n', start);
      const end = newline < 0 ? this.text.length : newline;
      const found = this.look(this.text, start, end);
      if (found !== null) return found;
      start = end + 1;
    }
    return null;
  }
}

export class Source {
  readonly text: string;
  private readonly headings: Finder<Heading>;
  private readonly rules: Finder<Span>;
  private readonly quotes: Finder<Span>;

  constructor(text: string) {
    this.text = text;
    this.headings = new Finder(text, lookForHeading);
    this.rules = new Finder(text, lookForRule);
    this.quotes = new Finder(text, lookForQuote);
  }

  heading(block: Range): Heading | null {
    return this.headings.within(block.from, block.to);
  }

  rule(block: Range): Span | null {
    return this.rules.within(block.from, block.to);
  }

  quote(block: Range): Span | null {
    return this.quotes.within(block.from, block.to);
  }

  /** The whole text cut at empty lines, last block first. */
  blocks(): Range[] {
    const blocks: Range[] = [];
    let from = 0;
    for (let at = this.text.indexOf('\n\n'); at >= 0; at = this.text.indexOf('\n\n', from)) {
      blocks.push({ source: this, from, to: at });
      from = at + 2;
    }
    blocks.push({ source: this, from, to: this.text.length });
    return blocks.toReversed();
  }

  whole(): Range {
    return { source: this, from: 0, to: this.text.length };
  }
}

export function textIn(block: Range): string {
  return block.source.text.slice(block.from, block.to);
}

/** One to six `#` at the start of a line; more of them at its end, unless escaped, are dropped. */
function lookForHeading(text: string, start: number, end: number): Heading | null {
  let level = 0;
  while (level < 6 && start + level < end && text[start + level] === '#') level += 1;
  if (level === 0) return null;
  const from = start + level;
  let to = end;
  while (to > from && text[to - 1] === '#') to -= 1;
  let slash = to;
  while (slash > from && text[slash - 1] === '\\') slash -= 1;
  if ((to - slash) % 2 === 1) {
    // An escape at the very end of the line has nothing to escape: no heading. Otherwise it keeps the first `#`.
    if (to === end) return null;
    to += 1;
  }
  return { start, end: Math.min(end + 1, text.length), level, title: { start: from, end: to } };
}

/** Three or more of one of `-`, `_`, `*`, at most two blanks between them, and nothing else on the line. */
function lookForRule(text: string, start: number, end: number): Span | null {
  let at = skipBlanks(text, start, 3);
  const sign = text[at];
  if (sign !== '-' && sign !== '_' && sign !== '*') return null;
  let last = end;
  while (last > at && text.charCodeAt(last - 1) === 0x20) last -= 1;
  if (text[last - 1] !== sign) return null;
  let count = 0;
  while (at < last) {
    if (text[at] !== sign) return null;
    count += 1;
    at = skipBlanks(text, at + 1, 2);
  }
  return count >= 3 ? { start, end } : null;
}

/** `>` after at most three blanks. */
function lookForQuote(text: string, start: number, end: number): Span | null {
  const at = skipBlanks(text, start, 3);
  return text[at] === '>' ? { start, end } : null;
}
