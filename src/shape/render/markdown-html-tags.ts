import { isSpace } from './markdown-text.js';

/**
 * Where a start tag ends, as Python's tolerant HTML parser sees it: attributes with or without quotes, junk between
 * them. Runs of characters and hopeless places are remembered, so tags that never end cost their length once.
 */

type Stops = (code: number) => boolean;

const SLASH = 0x2f;
const EQUALS = 0x3d;
const GREATER = 0x3e;
const GRAVE = 0x60;

/** The end of the run around a position, remembered as long as one asks within the same run. */
class Run {
  private from = 0;
  private end = -1;
  private readonly text: string;
  private readonly stops: Stops;

  constructor(text: string, stops: Stops) {
    this.text = text;
    this.stops = stops;
  }

  endFrom(at: number): number {
    if (at >= this.from && at < this.end) return this.end;
    let end = at;
    while (end < this.text.length && !this.stops(this.text.charCodeAt(end))) end += 1;
    this.from = at;
    this.end = end;
    return end;
  }
}

const NAME_ENDS: ReadonlySet<number> = new Set([0, 0x09, 0x0a, 0x0c, 0x0d, 0x20, SLASH, GREATER]);

const endsName: Stops = (code) => NAME_ENDS.has(code);
const endsStrictName: Stops = (code) => endsName(code) || code === GRAVE;
const endsKey: Stops = (code) => isSpace(code) || code === SLASH || code === EQUALS || code === GREATER;
const endsValue: Stops = (code) => code === GREATER || isSpace(code);
const endsStrictValue: Stops = (code) => endsValue(code) || code === GRAVE;

export interface StartTag {
  readonly end: number;
  /** Lower case; null when what stands there only looks like a tag. */
  readonly name: string | null;
  readonly closed: boolean;
}

export class StartTags {
  private readonly text: string;
  /** Places between attributes from which no tag ends. */
  private readonly hopeless = new Set<number>();
  private readonly name: Run;
  private readonly strictName: Run;
  private readonly key: Run;
  private readonly value: Run;
  private readonly strictValue: Run;
  private readonly space: Run;
  private readonly equals: Run;
  private readonly quoted: Readonly<Record<string, Run>>;

  constructor(text: string) {
    this.text = text;
    this.name = new Run(text, endsName);
    this.strictName = new Run(text, endsStrictName);
    this.key = new Run(text, endsKey);
    this.value = new Run(text, endsValue);
    this.strictValue = new Run(text, endsStrictValue);
    this.space = new Run(text, (code) => !isSpace(code));
    this.equals = new Run(text, (code) => code !== EQUALS);
    this.quoted = { "'": new Run(text, (code) => code === 0x27), '"': new Run(text, (code) => code === 0x22) };
  }

  /** The start tag whose `<` and first letter are at `at`, or null when the text ends within it. */
  read(at: number): StartTag | null {
    const end = this.endOf(at);
    if (end < 0) return null;
    const nameEnd = this.name.endFrom(at + 1);
    let inside = this.skipSlashes(nameEnd);
    while (inside < end) {
      const next = this.attribute(inside, false);
      if (next < 0) break;
      inside = next;
    }
    const rest = this.trimmed(inside, end);
    const isTag = rest === '>' || rest === '/>';
    return { end, name: isTag ? this.text.slice(at + 1, nameEnd).toLowerCase() : null, closed: rest === '/>' };
  }

  private trimmed(from: number, to: number): string {
    let start = from;
    let end = to;
    while (start < end && isSpace(this.text.charCodeAt(start))) start += 1;
    while (end > start && isSpace(this.text.charCodeAt(end - 1))) end -= 1;
    return this.text.slice(start, end);
  }

  private endOf(at: number): number {
    const text = this.text;
    let inside = this.strictName.endFrom(at + 1);
    while (text.charCodeAt(inside) === SLASH || isSpace(text.charCodeAt(inside))) inside += 1;
    const passed: number[] = [];
    for (;;) {
      if (this.hopeless.has(inside)) break;
      passed.push(inside);
      const next = this.attribute(inside, true);
      if (next >= 0) {
        inside = next;
        continue;
      }
      const last = this.space.endFrom(inside);
      const code = text.charCodeAt(last);
      if (code === GREATER) return last + 1;
      if (code === SLASH && text.charCodeAt(last + 1) === GREATER) return last + 2;
      if (last < text.length && code !== SLASH && code !== EQUALS && !isLetter(code)) return last > at ? last : at + 1;
      break;
    }
    for (const place of passed) this.hopeless.add(place);
    return -1;
  }

  /** After the white space, and slashes that do not end the tag, at a place. */
  private skipSlashes(at: number): number {
    const text = this.text;
    let end = at;
    for (;;) {
      const code = text.charCodeAt(end);
      const passes = isSpace(code) || (code === SLASH && text.charCodeAt(end + 1) !== GREATER);
      if (end >= text.length || !passes) return end;
      end += 1;
    }
  }

  /** The end of the attribute at a place and of what follows it up to the next, or -1. */
  private attribute(at: number, strict: boolean): number {
    const text = this.text;
    const before = text.charCodeAt(at - 1);
    if (!(before === 0x27 || before === 0x22 || before === SLASH || isSpace(before))) return -1;
    const first = text.charCodeAt(at);
    if (at >= text.length || isSpace(first) || first === SLASH || first === GREATER) return -1;
    if (strict && first === GRAVE) return -1;
    const keyEnd = this.key.endFrom(at + 1);
    let end = this.valueAfter(keyEnd, strict);
    if (end < 0) end = keyEnd;
    else if (strict) end = this.commas(end);
    return this.skipSlashes(end);
  }

  private valueAfter(keyEnd: number, strict: boolean): number {
    const text = this.text;
    const sign = this.space.endFrom(keyEnd);
    if (text.charCodeAt(sign) !== EQUALS) return -1;
    const signEnd = this.equals.endFrom(sign);
    const start = this.space.endFrom(signEnd);
    const bare = strict ? this.strictValue : this.value;
    const quote = text[start];
    if (quote !== '"' && quote !== "'") return bare.endFrom(start);
    const close = this.quoted[quote]?.endFrom(start + 1) ?? text.length;
    if (close < text.length) return close + 1;
    // A quote that is never closed is no value: the value is empty before it, or begins at the last of several signs.
    if (start > signEnd) return start - 1;
    return signEnd - sign > 1 ? bare.endFrom(signEnd - 1) : -1;
  }

  private commas(at: number): number {
    let end = at;
    for (let next = this.space.endFrom(end); this.text[next] === ','; next = this.space.endFrom(end)) end = next + 1;
    return end;
  }
}

export function isLetter(code: number): boolean {
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}
