import type { Find } from './markdown-stash.js';
import { firstFrom, positionsOf, wordAt, wordBefore } from './markdown-text.js';
import { element } from './markdown-tree.js';
import type { Element } from './markdown-tree.js';

type Sign = '*' | '_';

/** One pair of marks, one inside another that begin together, or one inside another that end together. */
type Shape = 'single' | 'opening' | 'closing';

interface Match {
  readonly kind: number;
  readonly shape: Shape;
  readonly tags: readonly [string, string];
  readonly end: number;
  readonly first: string;
  readonly second: string;
}

/** Where signs stand in a text, once, twice and three times, and where they may close. */
class Signs {
  readonly data: string;
  readonly sign: Sign;
  readonly ones: readonly number[];
  readonly twos: readonly number[];
  readonly threes: readonly number[];
  /** For underscores, which do not count within words. */
  private readonly closing: readonly number[];
  private readonly closingTwos: readonly number[];
  private readonly closingThrees: readonly number[];
  private readonly inner: readonly number[];

  constructor(data: string, sign: Sign) {
    this.data = data;
    this.sign = sign;
    this.ones = positionsOf(data, sign);
    this.twos = this.ones.filter((at) => data[at + 1] === sign);
    this.threes = this.twos.filter((at) => data[at + 2] === sign);
    const smart = sign === '_' ? this.ones : [];
    this.closing = smart.filter((at) => data[at - 1] !== sign && !wordAt(data, at + 1));
    this.closingTwos = smart.filter((at) => data[at - 1] !== sign && data[at + 1] === sign && !wordAt(data, at + 2));
    this.closingThrees = smart === this.ones ? this.threes.filter((at) => !wordAt(data, at + 3)) : [];
    this.inner = smart.filter((at) => !wordBefore(data, at) && data[at + 1] !== sign);
  }

  /** The first kind after `past` that matches at a sign. `apart`: what stands before it is no word. */
  match(at: number, past: number, apart: boolean): Match | null {
    for (let kind = past + 1; kind < 5; kind += 1) {
      const match = this.matchKind(at, kind, apart);
      if (match !== null) return match;
    }
    return null;
  }

  matchKind(at: number, kind: number, apart: boolean): Match | null {
    if (this.data[at] !== this.sign) return null;
    const run = this.runAt(at);
    if (kind === 0 || kind === 1) return run < 3 ? null : this.both(at, kind);
    if (this.sign === '*') return this.star(at, kind, run);
    return apart || !wordBefore(this.data, at) ? this.underscore(at, kind, run) : null;
  }

  private runAt(at: number): number {
    let run = 1;
    while (run < 3 && this.data[at + run] === this.sign) run += 1;
    return run;
  }

  /** `***a*b**` and `***a**b*`. */
  private both(at: number, kind: 0 | 1): Match | null {
    const [inner, outer, size] = kind === 0 ? [this.ones, this.twos, 1] : [this.twos, this.ones, 2];
    const middle = next(inner, at + 4);
    const close = middle < 0 ? -1 : next(outer, middle + size);
    if (close < 0) return null;
    return {
      kind,
      shape: 'opening',
      tags: kind === 0 ? ['strong', 'em'] : ['em', 'strong'],
      end: close + 3 - size,
      first: this.data.slice(at + 3, middle),
      second: this.data.slice(middle + size, close),
    };
  }

  private star(at: number, kind: number, run: number): Match | null {
    if (kind === 2) {
      const middle = run === 2 ? next(this.ones, at + 2) : -1;
      if (middle < 0 || this.data[middle + 1] === '*') return null;
      return this.closingTogether(at, middle, next(this.threes, middle + 2));
    }
    if (kind === 3) return run < 2 ? null : this.single(at, kind, next(this.twos, at + 3));
    return run > 1 ? null : this.single(at, kind, next(this.ones, at + 1));
  }

  private underscore(at: number, kind: number, run: number): Match | null {
    if (kind === 2) {
      const middle = run === 2 ? next(this.inner, at + 3) : -1;
      return middle < 0 ? null : this.closingTogether(at, middle, next(this.closingThrees, middle + 2));
    }
    if (kind === 3) return run === 2 ? this.single(at, kind, next(this.closingTwos, at + 3)) : null;
    return run === 1 ? this.single(at, kind, next(this.closing, at + 2)) : null;
  }

  /** `**a *b***`. */
  private closingTogether(at: number, middle: number, close: number): Match | null {
    if (close < 0) return null;
    const first = this.data.slice(at + 2, middle);
    const second = this.data.slice(middle + 1, close);
    return { kind: 2, shape: 'closing', tags: ['strong', 'em'], end: close + 3, first, second };
  }

  private single(at: number, kind: number, close: number): Match | null {
    if (close < 0) return null;
    const size = kind === 3 ? 2 : 1;
    const tag = kind === 3 ? 'strong' : 'em';
    const first = this.data.slice(at + size, close);
    return { kind, shape: 'single', tags: [tag, tag], end: close + size, first, second: '' };
  }
}

function next(list: readonly number[], from: number): number {
  return list[firstFrom(list, from)] ?? -1;
}

function build(match: Match, sign: Sign): Element {
  const [outerTag, innerTag] = match.tags;
  const outer = element(outerTag);
  if (match.shape === 'single') {
    fill(outer, null, match.first, sign, match.kind);
    return outer;
  }
  const inner = element(innerTag);
  if (match.shape === 'opening') {
    fill(inner, null, match.first, sign, match.kind);
    outer.children.push(inner);
    fill(outer, inner, match.second, sign, match.kind);
  } else {
    fill(outer, null, match.first, sign, match.kind);
    outer.children.push(inner);
    fill(inner, null, match.second, sign, match.kind);
  }
  return outer;
}

/** Gives an element its content: text, and emphasis of the kinds that come after its own. */
function fill(parent: Element, lastChild: Element | null, data: string, sign: Sign, past: number): void {
  let last = lastChild;
  let from = 0;
  const put = (text: string): void => {
    if (text === '') return;
    if (last === null) parent.text = text;
    else last.tail = text;
  };
  if (past < 4 && data.includes(sign)) {
    const signs = new Signs(data, sign);
    for (const at of signs.ones) {
      if (at < from) continue;
      let here = at;
      // After a match the kinds that follow are tried at its end.
      for (let kind = past + 1; kind < 5; kind += 1) {
        const match = signs.matchKind(here, kind, false);
        if (match === null) continue;
        put(data.slice(from, here));
        last = build(match, sign);
        parent.children.push(last);
        here = match.end;
        from = here;
      }
    }
  }
  put(data.slice(from));
}

export function emphasis(data: string, sign: Sign): Find | null {
  if (!data.includes(sign)) return null;
  const signs = new Signs(data, sign);
  let index = 0;
  let refused = false;
  return (from) => {
    for (; index < signs.ones.length; index += 1) {
      const start = signs.ones[index] ?? 0;
      if (start < from) continue;
      const match = signs.match(start, -1, start === from && from > 0);
      if (match !== null) {
        index += 1;
        const touches = sign === '*' ? data[start - 1] === sign : data[match.end] === sign;
        return { start, end: match.end, node: build(match, sign), again: refused && touches };
      }
      refused = true;
    }
    return null;
  };
}
