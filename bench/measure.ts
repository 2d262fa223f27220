/** What one row of a table shows: each figure once per round. */
export interface Measured {
  readonly name: string;
  readonly figures: Readonly<Record<string, readonly number[]>>;
}

export interface Goal {
  readonly text: string;
  /** once per round */
  readonly values: readonly number[];
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Section {
  readonly title: string;
  readonly about: string;
  readonly rows: readonly Measured[];
  readonly goals: readonly Goal[];
}

/** Rows and figures come as they are measured, round by round. */
export class Table {
  readonly #rows = new Map<string, Map<string, number[]>>();

  add(name: string, figures: Readonly<Record<string, number>>): void {
    const row = this.#rows.get(name) ?? new Map<string, number[]>();
    this.#rows.set(name, row);
    for (const [figure, value] of Object.entries(figures)) row.set(figure, [...(row.get(figure) ?? []), value]);
  }

  get rows(): readonly Measured[] {
    return [...this.#rows].map(([name, figures]) => ({ name, figures: Object.fromEntries(figures) }));
  }

  values(name: string, figure: string): readonly number[] {
    return this.#rows.get(name)?.get(figure) ?? [];
  }

  /** Round by round, so that what slows a whole round down does not count. */
  ratio(figure: string, name: string, reference: string): readonly number[] {
    const below = this.values(reference, figure);
    return this.values(name, figure).map((value, round) => value / (below[round] ?? Number.NaN));
  }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  return low + ((sorted[Math.ceil(place)] ?? low) - low) * (place - Math.floor(place));
}

export function met({ values, atLeast, atMost }: Goal): boolean {
  const value = median(values);
  return (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);
}
