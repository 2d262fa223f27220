import type { CharacterSet } from './python-character-set.js';

/**
 * Instructions of the machine. `a`, `b`, `c` are their operands; "choice" instructions have a memo id.
 * - char a=code; set a=set; run a=set b=count: that many characters of the set;
 * - save a=slot; position a=which; jump a=target;
 * - split a=first b=second, a choice;
 * - loop a=set b=most (-1: any number) c=1 where it takes as few as it can: a choice;
 * - loopAll a=set b=most: takes what it can and never gives back;
 * - enter a=slot: remembers where a round began; check a=slot b=exit: leaves where a round took nothing;
 * - begin a=count slot b=start slot; until a=count slot b=exit, bounds in `counters`; next a=count slot: counted rounds;
 * - look a=end b=how far back (-1: ahead) c=1 where it must not match; atomic a=end; each ends with `end`;
 * - reference a=group b=case mode; when a=group b=target otherwise.
 */
export const OP = {
  end: 0,
  char: 1,
  set: 2,
  run: 3,
  save: 4,
  position: 5,
  jump: 6,
  split: 7,
  loop: 8,
  loopAll: 9,
  enter: 10,
  check: 11,
  begin: 12,
  until: 13,
  next: 14,
  look: 15,
  atomic: 16,
  reference: 17,
  when: 18,
} as const;

export const POSITION = {
  begin: 0,
  beginLine: 1,
  end: 2,
  endLine: 3,
  endString: 4,
  boundary: 5,
  nonBoundary: 6,
  asciiBoundary: 7,
  asciiNonBoundary: 8,
} as const;

export const CASE = { exact: 0, ascii: 1, unicode: 2 } as const;

export interface Counter {
  readonly min: number;
  /** Infinity: any number */
  readonly max: number;
  readonly lazy: boolean;
  /** the slot with the place where the latest round began */
  readonly start: number;
}

export interface Program {
  readonly op: Uint8Array;
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly c: Int32Array;
  readonly sets: readonly CharacterSet[];
  /** by the place of their `until` */
  readonly counters: ReadonlyMap<number, Counter>;
  /** groups that capture; group g is in slots 2g-2 and 2g-1 */
  readonly groups: number;
  readonly slots: number;
  /**
   * By choice instruction: its first memo id, and the slots of the rounds around it that may take nothing.
   * Each of them doubles the ids, because what follows depends on whether the round took something yet.
   */
  readonly memo: Int32Array;
  readonly memoSlots: readonly (readonly number[])[];
  /** 0 where what follows a choice depends on more than the place in the text (back-references, counted rounds) */
  readonly memoIds: number;
  /** matches at the start of the text or not at all */
  readonly anchored: boolean;
  /** the set that the first character has to be of, -1 where there is none such */
  readonly firstSet: number;
}
