import { FLAG, TYPE_FLAGS } from './python-regex-syntax.js';
import type { RegexSource } from './python-regex-source.js';

/** `(?i)` sets flags for the whole pattern, `(?i-s:…)` for a group. */
export type InlineFlags =
  | { readonly scope: 'pattern'; readonly on: number }
  | { readonly scope: 'group'; readonly on: number; readonly off: number };

const FLAGS: ReadonlyMap<string, number> = new Map(Object.entries(FLAG));

export const flagOf = (letter: string): number | null => FLAGS.get(letter) ?? null;

/** `first`, a flag or `-`, is already taken. */
export function parseFlags(source: RegexSource, first: string): InlineFlags {
  let on = 0;
  let letter = first;
  while (letter !== '-') {
    const flag = flagOf(letter) ?? 0;
    if (flag === FLAG.L) throw source.error("bad inline flags: cannot use 'L' flag with a str pattern");
    on |= flag;
    if ((flag & TYPE_FLAGS) !== 0 && (on & TYPE_FLAGS) !== flag) {
      throw source.error("bad inline flags: flags 'a', 'u' and 'L' are incompatible");
    }
    letter = nextFlag(source, 'missing -, : or )', '-:)');
    if (letter === ')') return { scope: 'pattern', on };
    if (letter === ':') break;
  }
  if ((on & FLAG.t) !== 0) throw source.error('bad inline flags: cannot turn on global flag', 1);
  let off = 0;
  if (letter === '-') {
    letter = nextFlag(source, 'missing flag', '');
    for (;;) {
      const flag = flagOf(letter) ?? 0;
      if ((flag & TYPE_FLAGS) !== 0) {
        throw source.error("bad inline flags: cannot turn off flags 'a', 'u' and 'L'");
      }
      off |= flag;
      letter = nextFlag(source, 'missing :', ':');
      if (letter === ':') break;
    }
  }
  if ((off & FLAG.t) !== 0) throw source.error('bad inline flags: cannot turn off global flag', 1);
  if ((on & off) !== 0) throw source.error('bad inline flags: flag turned on and off', 1);
  return { scope: 'group', on, off };
}

function nextFlag(source: RegexSource, missing: string, ends: string): string {
  const letter = source.get();
  if (letter === null) throw source.error(missing);
  if (flagOf(letter) === null && (letter.length !== 1 || !ends.includes(letter))) {
    throw source.error(/^\p{L}+$/u.test(letter) ? 'unknown flag' : missing, Array.from(letter).length);
  }
  return letter;
}
