/**
 * Which transactions a snapshot of the server sees, by the text of pg_current_snapshot(): all below
 * `xmin`, and those below `xmax` that were not under way.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
 */
export class Snapshot {
  readonly #xmin: bigint;
  readonly #xmax: bigint;
  readonly #underWay: ReadonlySet<bigint>;

  /** @throws {SyntaxError} when it is no snapshot */
  constructor(text: string) {
    const [xmin = '', xmax = '', underWay = ''] = text.split(':');
    this.#xmin = BigInt(xmin);
    this.#xmax = BigInt(xmax);
    this.#underWay = new Set(underWay === '' ? [] : underWay.split(',').map(BigInt));
  }

  /** @param xid as the WAL has it, 32 bits: the epoch is that which brings it nearest to the snapshot's end */
  sees(xid: number): boolean {
    const full = this.#xmax + BigInt.asIntN(32, BigInt(xid) - this.#xmax);
    return full < this.#xmin || (full < this.#xmax && !this.#underWay.has(full));
  }
}
