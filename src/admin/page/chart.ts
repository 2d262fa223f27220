import { element, setText } from './dom.js';
import { areaPath, ceiling, linePath, type Line } from './series.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 360;
const HEIGHT = 96;

export interface Plot {
  readonly name: string;
  /** a class: it has the colour */
  readonly tone: string;
  readonly line: Line;
  readonly filled: boolean;
}

export interface Drawing {
  readonly plots: readonly Plot[];
  /** the least that the height stands for */
  readonly least: number;
  readonly value: (value: number | null) => string;
  readonly time: (place: number) => string;
  readonly minutes: number;
  /** in words, for those who do not see it */
  readonly summary: string;
}

/** A small chart of the last minutes: lines over time, with what they are at the pointer. */
export class Chart {
  readonly #figure: HTMLElement;
  readonly #svg = document.createElementNS(SVG, 'svg');
  readonly #most = element('span', { class: 'most' });
  readonly #since = element('span');
  readonly #legend = element('p', { class: 'legend' });
  readonly #paths: SVGPathElement[] = [];
  readonly #cursor = document.createElementNS(SVG, 'line');
  #drawing: Drawing | null = null;
  #pointed: number | null = null;

  constructor(figure: HTMLElement) {
    this.#figure = figure;
    this.#svg.setAttribute('viewBox', `0 -2 ${WIDTH} ${HEIGHT + 3}`);
    this.#svg.setAttribute('preserveAspectRatio', 'none');
    this.#svg.setAttribute('role', 'img');
    this.#cursor.setAttribute('class', 'cursor');
    this.#cursor.setAttribute('y2', String(HEIGHT));
    const plot = element('div', { class: 'plot' });
    plot.append(this.#svg, this.#most);
    figure.append(this.#legend, plot, element('div', { class: 'axis', 'aria-hidden': 'true' }, this.#since, element('span', {}, 'now')));
    this.#svg.addEventListener('pointermove', (event) => this.#point(event.offsetX / this.#svg.clientWidth));
    this.#svg.addEventListener('pointerleave', () => this.#point(null));
  }

  show(drawing: Drawing): void {
    this.#drawing = drawing;
    const most = ceiling(drawing.plots.map(({ line }) => line), drawing.least);
    // The first is drawn last, over the others where they are the same.
    const paths = [
      ...drawing.plots.filter(({ filled }) => filled).map(({ line, tone }) => ({ tone: `area ${tone}`, path: areaPath(line, WIDTH, HEIGHT, most) })),
      ...drawing.plots.toReversed().map(({ line, tone }) => ({ tone: `line ${tone}`, path: linePath(line, WIDTH, HEIGHT, most) })),
    ];
    for (const [place, { tone, path }] of paths.entries()) {
      const drawn = this.#path(place);
      drawn.setAttribute('class', tone);
      drawn.setAttribute('d', path);
    }
    if (this.#svg.lastChild !== this.#cursor) this.#svg.append(this.#cursor);
    this.#svg.setAttribute('aria-label', drawing.summary);
    setText(this.#most, drawing.value(most));
    setText(this.#since, `${drawing.minutes} min ago`);
    this.#tell();
  }

  #path(place: number): SVGPathElement {
    let path = this.#paths[place];
    if (path === undefined) {
      path = document.createElementNS(SVG, 'path');
      this.#paths[place] = path;
      this.#svg.append(path);
    }
    return path;
  }

  #point(share: number | null): void {
    const length = this.#drawing?.plots[0]?.line.length ?? 0;
    this.#pointed = share === null ? null : Math.min(length - 1, Math.max(0, Math.round(share * (length - 1))));
    this.#tell();
  }

  /** The legend: the newest values, or those at the pointer. */
  #tell(): void {
    if (this.#drawing === null) return;
    const { plots, value, time } = this.#drawing;
    const place = this.#pointed ?? (plots[0]?.line.length ?? 1) - 1;
    this.#figure.classList.toggle('pointed', this.#pointed !== null);
    const x = String((place * WIDTH) / Math.max(1, (plots[0]?.line.length ?? 1) - 1));
    this.#cursor.setAttribute('x1', x);
    this.#cursor.setAttribute('x2', x);
    while (this.#legend.children.length < plots.length + 1) this.#legend.append(element('span'));
    for (const [at, { name, tone, line }] of plots.entries()) {
      const entry = this.#legend.children[at];
      if (entry === undefined) continue;
      entry.className = `key ${tone}`;
      setText(entry, `${name} ${value(line[place] ?? null)}`);
    }
    const last = this.#legend.children[plots.length];
    if (last === undefined) return;
    last.className = 'when';
    setText(last, this.#pointed === null ? '' : time(place));
  }
}
