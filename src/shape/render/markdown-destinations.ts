import { firstFrom, positionsOf, skipSpace } from './markdown-text.js';

/** Which bracket closes which. */
export class Brackets {
  private readonly closing = new Map<number, number>();
  private readonly inner = new Set<number>();

  constructor(data: string) {
    const open: number[] = [];
    for (let at = 0; at < data.length; at += 1) {
      const code = data.charCodeAt(at);
      if (code === 0x5b) {
        open.push(at);
      } else if (code === 0x5d) {
        const start = open.pop();
        if (start === undefined) continue;
        this.closing.set(start, at);
        const parent = open.at(-1);
        if (parent !== undefined) this.inner.add(parent);
      }
    }
  }

  closeOf(open: number): number {
    return this.closing.get(open) ?? -1;
  }

  /** Has it no brackets inside? */
  isFlat(open: number, close: number): boolean {
    return close > open && !this.inner.has(open);
  }
}

export interface Destination {
  readonly address: string;
  readonly title: string | null;
  readonly end: number;
  /** It ends where nobody would expect it to. */
  readonly odd: boolean;
}

type Quote = '"' | "'";

interface TitleEnd {
  readonly quote: number;
  readonly bracket: number;
}

/**
 * What stands in round brackets after a link's text. The application's rule: brackets are counted until a quote
 * comes; from there a closing bracket counts only just after the second or a later quote of one kind, which makes
 * what is between the quotes a title. If there is none, as many brackets as were open, opening or closing ones, are
 * counted from the quote. Everything that this needs is noted once, so that a text is not read again for each link.
 */
export class Destinations {
  private readonly data: string;
  private readonly brackets: readonly number[];
  /** How many more brackets have opened than closed before each. */
  private readonly depths: readonly number[];
  private readonly closing: ReadonlyMap<number, number>;
  private readonly quotes: Readonly<Record<Quote, readonly number[]>>;
  private readonly titleEnds: Readonly<Record<Quote, readonly TitleEnd[]>>;
  private readonly titleQuotes: Readonly<Record<Quote, readonly number[]>>;

  constructor(data: string) {
    this.data = data;
    const brackets: number[] = [];
    const depths: number[] = [];
    const closing = new Map<number, number>();
    const open: number[] = [];
    const ends: Record<Quote, TitleEnd[]> = { '"': [], "'": [] };
    let depth = 0;
    for (let at = 0; at < data.length; at += 1) {
      const code = data.charCodeAt(at);
      if (code !== 0x28 && code !== 0x29) continue;
      brackets.push(at);
      depths.push(depth);
      depth += code === 0x28 ? 1 : -1;
      if (code === 0x28) {
        open.push(at);
        continue;
      }
      const start = open.pop();
      if (start !== undefined) closing.set(start, at);
      let quote = at - 1;
      while (data.charCodeAt(quote) === 0x20) quote -= 1;
      const sign = data[quote];
      if (sign === '"' || sign === "'") ends[sign].push({ quote, bracket: at });
    }
    this.brackets = brackets;
    this.depths = depths;
    this.closing = closing;
    this.quotes = { '"': positionsOf(data, '"'), "'": positionsOf(data, "'") };
    this.titleEnds = ends;
    this.titleQuotes = { '"': ends['"'].map((end) => end.quote), "'": ends["'"].map((end) => end.quote) };
  }

  /** The destination whose bracket opens at a position. */
  at(open: number): Destination | null {
    const start = skipSpace(this.data, open + 1);
    return (this.data[start] === '<' ? this.inAngles(start) : null) ?? this.counted(open, start);
  }

  /** `(<address> "title")` */
  private inAngles(start: number): Destination | null {
    const { data } = this;
    let close = start + 1;
    while (close < data.length && data[close] !== '<' && data[close] !== '>') close += 1;
    if (data[close] !== '>') return null;
    const address = data.slice(start + 1, close);
    const after = skipSpace(data, close + 1);
    if (data[after] === ')') return { address, title: null, end: after + 1, odd: false };
    const quote = data[after];
    if (quote !== '"' && quote !== "'") return null;
    const quoteEnd = this.quoteFrom(quote, after + 1);
    if (quoteEnd < 0) return null;
    const end = skipSpace(data, quoteEnd + 1);
    return data[end] === ')' ? { address, title: data.slice(after + 1, quoteEnd), end: end + 1, odd: false } : null;
  }

  private counted(open: number, start: number): Destination | null {
    const { data } = this;
    const close = this.closing.get(open) ?? -1;
    const double = this.quoteFrom('"', start);
    const single = this.quoteFrom("'", start);
    const first = double < 0 || (single >= 0 && single < double) ? single : double;
    if (close >= 0 && (first < 0 || close < first)) {
      return { address: data.slice(start, close), title: null, end: close + 1, odd: false };
    }
    if (first < 0) return null;
    return this.titled(start, first) ?? this.untitled(open, start, first);
  }

  private titled(start: number, first: number): Destination | null {
    const { data } = this;
    const own: Quote = data[first] === '"' ? '"' : "'";
    const other: Quote = own === '"' ? "'" : '"';
    const second = this.quoteFrom(other, first + 1);
    const ownEnd = this.titleEndAfter(own, first);
    const otherEnd = second < 0 ? null : this.titleEndAfter(other, second);
    const useOwn = ownEnd !== null && (otherEnd === null || ownEnd.bracket < otherEnd.bracket);
    const end = useOwn ? ownEnd : otherEnd;
    if (end === null) return null;
    const from = useOwn ? first : second;
    const title = data.slice(from + 1, end.quote);
    return { address: data.slice(start, from), title, end: end.bracket + 1, odd: false };
  }

  private untitled(open: number, start: number, quote: number): Destination | null {
    const { data, brackets } = this;
    const here = firstFrom(brackets, quote);
    const before = this.depths[firstFrom(brackets, open)] ?? 0;
    const now = here < brackets.length ? (this.depths[here] ?? 0) : Number.NaN;
    const end = brackets[here + (now - before) - 1];
    if (end === undefined) return null;
    if (data[end] === ')') return { address: data.slice(start, end), title: null, end: end + 1, odd: false };
    // The last one counted opens. The application then takes everything but the last character of the text.
    const last = beforeLast(data, data.length);
    return { address: data.slice(start, Math.max(start, beforeLast(data, last))), title: null, end: last, odd: true };
  }

  private titleEndAfter(quote: Quote, after: number): TitleEnd | null {
    return this.titleEnds[quote][firstFrom(this.titleQuotes[quote], after + 1)] ?? null;
  }

  private quoteFrom(quote: Quote, from: number): number {
    return this.quotes[quote][firstFrom(this.quotes[quote], from)] ?? -1;
  }
}

/** Where the character before a position begins. */
function beforeLast(data: string, end: number): number {
  const low = data.charCodeAt(end - 1);
  return low >= 0xdc00 && low <= 0xdfff && end > 1 ? end - 2 : end - 1;
}
