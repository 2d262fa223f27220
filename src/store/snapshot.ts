/**
 * Which transactions a snapshot of the server sees, by the text of pg_current_snapshot(): all below
 * `xmin`, and those below `xmax` that were not under way.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
 */
export class Snapshot {
  /** xmax, its lower 32 bits; all others are differences to it, plain numbers (1 µs a transaction less than with big ones) */
  readonly #end: number;
  readonly #xmin: number;
  readonly #underWay: ReadonlySet<number>;

  /** @throws {SyntaxError} when it is no snapshot */
  constructor(text: string) {
    const [xmin = '', xmax = '', underWay = ''] = text.split(':');
    const end = BigInt(xmax);
    this.#end = Number(BigInt.asIntN(32, end));
    this.#xmin = Number(BigInt(xmin) - end);
    this.#underWay = new Set(underWay === '' ? [] : underWay.split(',').map((xid) => Number(BigInt(xid) - end)));
  }

  /** @param xid as the WAL has it, 32 bits: the epoch is that which brings it nearest to the snapshot's end */
  sees(xid: number): boolean {
    const difference = (xid - this.#end) | 0;
    return difference < this.#xmin || (difference < 0 && !this.#underWay.has(difference));
  }
}
