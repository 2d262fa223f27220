import type { Find } from './markdown-stash.js';
import { ESCAPABLE, escapeCode, escapeMark } from './markdown-text.js';
import { element } from './markdown-tree.js';
import { strip } from './python-characters.js';

interface Ticks {
  readonly start: number;
  readonly length: number;
}

/** Whole runs of backticks. */
function tickRuns(data: string): Ticks[] {
  const runs: Ticks[] = [];
  for (let start = data.indexOf('`'); start >= 0; ) {
    let end = start + 1;
    while (data[end] === '`') end += 1;
    runs.push({ start, length: end - start });
    start = data.indexOf('`', end);
  }
  return runs;
}

/**
 * Code between runs of as many backticks, where the opening may be the end of a longer run; and, before backticks,
 * an even number of backslashes, which are escapes of each other.
 */
export function codeSpans(data: string): Find | null {
  const runs = tickRuns(data);
  if (runs.length === 0) return null;
  const closers = new Map<number, number[]>();
  for (const run of runs) {
    const starts = closers.get(run.length);
    if (starts === undefined) closers.set(run.length, [run.start]);
    else starts.push(run.start);
  }
  // Starts are asked for in ascending order, so what lies before one can be dropped.
  const passed = new Map<number, number>();
  const closerFrom = (length: number, from: number): number => {
    const starts = closers.get(length);
    if (starts === undefined) return -1;
    let index = passed.get(length) ?? 0;
    while (index < starts.length && (starts[index] ?? 0) < from) index += 1;
    passed.set(length, index);
    return starts[index] ?? -1;
  };

  let next = 0;
  const slashesBefore = (run: Ticks, from: number): number => {
    let count = 0;
    while (run.start - count > from && data[run.start - count - 1] === '\\') count += 1;
    return count;
  };
  /** Position up to which backslashes have been taken. */
  let taken = 0;
  let refused = false;
  return (from) => {
    for (let run = runs[next]; run !== undefined; next += 1, run = runs[next]) {
      if (run.start < from) continue;
      const slashes = slashesBefore(run, Math.max(from, taken));
      if (slashes > 0 && slashes % 2 === 0) {
        taken = run.start;
        const node = escapeMark('\\').repeat(slashes / 2);
        return { start: run.start - slashes, end: run.start, node, again: false };
      }
      const start = slashes === 0 ? run.start : run.start + 1;
      const after = run.start + run.length;
      for (let length = after - start; length > 0; length -= 1) {
        const close = closerFrom(length, after);
        if (close < 0) continue;
        next += 1;
        const node = element('code', escapeCode(strip(data.slice(start + length, close))), true);
        // The escaped backtick that is left over may close what was refused before.
        return { start, end: close + length, node, again: refused && start > run.start };
      }
      refused = true;
    }
    return null;
  };
}

/** A backslash and a character that it takes the meaning from. */
export function escapes(data: string): Find | null {
  if (!data.includes('\\')) return null;
  return (from) => {
    for (let at = data.indexOf('\\', from); at >= 0; at = data.indexOf('\\', at + 2)) {
      const character = data[at + 1] ?? '';
      if (ESCAPABLE.has(character)) return { start: at, end: at + 2, node: escapeMark(character), again: false };
    }
    return null;
  };
}
