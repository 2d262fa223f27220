import type { LiveSpans, Span } from '../events.js';

/** One line of a chart: a value for each point in time, the oldest first; null: there is none. */
export type Line = readonly (number | null)[];

/** What happened in the last minutes, one place for each span that is over. */
export class Series {
  readonly #spans = new Map<number, Span>();
  #index = 0;
  #count = 0;
  #ms = 1;

  take({ index, count, ms, spans }: LiveSpans): void {
    this.#index = index;
    this.#count = count;
    this.#ms = ms;
    for (const span of spans) this.#spans.set(span.index, span);
    for (const old of this.#spans.keys()) if (old <= index - count) this.#spans.delete(old);
  }

  /** Begin of the span at this place, milliseconds since 1970. */
  at(place: number): number {
    return (this.#index - this.length + place) * this.#ms;
  }

  /** The present span is not over, so it is left out. */
  get length(): number {
    return Math.max(0, this.#count - 1);
  }

  get minutes(): number {
    return Math.round((this.length * this.#ms) / 60_000);
  }

  /** Each second. */
  rates(of: 'delivered' | 'failed'): Line {
    return this.#line((span) => ((span?.[of] ?? 0) * 1_000) / this.#ms);
  }

  latencies(of: 'p50' | 'p95'): Line {
    return this.#line((span) => span?.[of] ?? null);
  }

  #line(value: (span: Span | undefined) => number | null): Line {
    return Array.from({ length: this.length }, (_place, place) => value(this.#spans.get(this.#index - this.length + place)));
  }
}

/** The next round number: what a chart's height stands for. */
export function ceiling(lines: readonly Line[], least: number): number {
  const most = Math.max(least, ...lines.map((line) => Math.max(0, ...line.map((value) => value ?? 0))));
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= most * 0.999) ?? 10) * power;
}

/** The path of a line in a box: broken where there is no value, a dash where one stands alone. */
export function linePath(line: Line, width: number, height: number, most: number): string {
  const x = (place: number): string => ((place * width) / Math.max(1, line.length - 1)).toFixed(1);
  const y = (value: number): string => (height - (Math.min(value, most) * height) / most).toFixed(1);
  let path = '';
  for (const [place, value] of line.entries()) {
    if (value === null) continue;
    const begins = line[place - 1] === null || place === 0;
    path += `${begins ? 'M' : 'L'}${x(place)} ${y(value)}`;
    if (begins && (line[place + 1] ?? null) === null) path += `H${(Number(x(place)) + 2).toFixed(1)}`;
  }
  return path;
}

/** The area below a line without gaps. */
export function areaPath(line: Line, width: number, height: number, most: number): string {
  return line.length === 0 ? '' : `${linePath(line, width, height, most)}V${height}H0Z`;
}
