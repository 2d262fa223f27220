import { Counter, type Histogram, type Registry } from 'prom-client';

/*
 * What is counted for every delivery is counted in plain numbers, which prom-client asks for when it is
 * read: its own `inc` and `observe` hash the labels each time (0.2 µs, of some 30 for a delivery).
 */

/** Counts by one label whose values are all known; those that have not happened are shown as 0. */
export class Tally<T extends string> {
  readonly #counts: Map<T, number>;

  constructor(registry: Registry, name: string, help: string, label: string, values: readonly T[]) {
    this.#counts = new Map(values.map((value) => [value, 0]));
    const counts = this.#counts;
    registry.registerMetric(
      new Counter({
        name,
        help,
        labelNames: [label],
        registers: [],
        collect() {
          this.reset();
          for (const [value, count] of counts) this.inc({ [label]: value }, count);
        },
      }),
    );
  }

  add(value: T, count = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }
}

interface Sample {
  readonly metricName: string;
  readonly labels: { readonly le?: number | '+Inf' };
  readonly value: number;
}

/** A histogram without labels. */
export class Distribution {
  readonly name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(registry: Registry, name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a metric a registry uses its name and what `get` gives
    registry.registerMetric(this as unknown as Histogram);
  }

  add(value: number): void {
    const bounds = this.#bounds;
    let place = 0;
    while (place < bounds.length && value > (bounds[place] ?? 0)) place += 1;
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#sum += value;
  }

  async get(): Promise<unknown> {
    const { name } = this;
    let count = 0;
    const values: Sample[] = [...this.#bounds, '+Inf' as const].map((le, place) => {
      count += this.#counts[place] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, value: count };
    });
    values.push({ metricName: `${name}_sum`, labels: {}, value: this.#sum }, { metricName: `${name}_count`, labels: {}, value: count });
    return { name, help: this.#help, type: 'histogram', aggregator: 'sum', values };
  }
}
