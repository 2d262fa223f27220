/** Numbers that look random and are the same for the same seed: mulberry32. */
export class Random {
  #state: number;
  readonly #seed: string;

  constructor(seed: string) {
    this.#seed = seed;
    this.#state = hash(seed);
  }

  /** One of its own for each part of the run, so that what one part draws does not change what another does. */
  fork(name: string): Random {
    return new Random(`${this.#seed}/${name}`);
  }

  /** From 0 up to, but not including, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Both ends included. */
  integer(minimum: number, maximum: number): number {
    return minimum + Math.floor(this.fraction() * (maximum - minimum + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** @throws {RangeError} when there is nothing to choose from */
  pick<T>(from: readonly T[]): T {
    const [chosen] = from.slice(this.integer(0, from.length - 1));
    if (chosen === undefined) throw new RangeError('nothing to choose from');
    return chosen;
  }

  /** One of the names, each as often as its weight says. */
  weighted<const K extends string>(weights: Readonly<Record<K, number>>): K {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets what it knows
    const names = Object.keys(weights) as K[];
    let left = this.fraction() * names.reduce((sum, name) => sum + weights[name], 0);
    for (const name of names) {
      left -= weights[name];
      if (left < 0) return name;
    }
    return this.pick(names);
  }

  /** Text that does not compress well. */
  text(length: number): string {
    let text = '';
    while (text.length < length) text += this.fraction().toString(36).slice(2);
    return text.slice(0, length);
  }
}

function hash(text: string): number {
  let value = 2_166_136_261;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 16_777_619);
  return value >>> 0;
}
