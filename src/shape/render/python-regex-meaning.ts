import { setTest, characterTest, type CaseMode, type Category } from './python-character-set.js';
import { isAsciiDigit, isAsciiSpace, isAsciiWord, isDigit, isSpace, isWord } from './python-characters.js';
import { POSITION } from './python-regex-program.js';
import { FLAG, TYPE_FLAGS, type CategoryName, type Node, type Sequence, type Unit } from './python-regex-syntax.js';

/** What nodes mean under the flags that are on where they stand. */

export function combined(flags: number, on: number, off: number): number {
  const kept = (on & TYPE_FLAGS) === 0 ? flags : flags & ~TYPE_FLAGS;
  return (kept | on) & ~off;
}

export function caseMode(flags: number): CaseMode {
  if ((flags & FLAG.i) === 0) return 'exact';
  return (flags & FLAG.a) === 0 ? 'unicode' : 'ascii';
}

/** The one-character body of a repetition. */
export function unitOf(body: Sequence, flags: number): { readonly unit: Unit; readonly flags: number } | null {
  const [node, more] = body;
  if (node === undefined || more !== undefined) return null;
  if (node.kind === 'char' || node.kind === 'any' || node.kind === 'class') return { unit: node, flags };
  if (node.kind !== 'group' || node.index !== null) return null;
  return unitOf(node.body, combined(flags, node.on, node.off));
}

export function testOf(unit: Unit, flags: number): Category {
  const mode = caseMode(flags);
  if (unit.kind === 'any') return (flags & FLAG.s) === 0 ? (code) => code !== 10 : () => true;
  if (unit.kind === 'char') return characterTest(unit.code, unit.negate, mode);
  const items = unit.items.map((item) =>
    item.kind === 'category'
      ? ({ kind: 'category', test: categoryTest(item.name, item.negate, flags) } as const)
      : item,
  );
  return setTest(items, unit.negate, mode);
}

function categoryTest(name: CategoryName, negate: boolean, flags: number): Category {
  const ascii = (flags & FLAG.a) !== 0;
  const test = {
    digit: ascii ? isAsciiDigit : isDigit,
    space: ascii ? isAsciiSpace : isSpace,
    word: ascii ? isAsciiWord : isWord,
  }[name];
  return negate ? (code) => !test(code) : test;
}

export function positionOf(at: Extract<Node, { kind: 'position' }>['at'], flags: number): number {
  const lines = (flags & FLAG.m) !== 0;
  const ascii = (flags & FLAG.a) !== 0;
  switch (at) {
    case 'begin':
      return lines ? POSITION.beginLine : POSITION.begin;
    case 'end':
      return lines ? POSITION.endLine : POSITION.end;
    case 'begin-string':
      return POSITION.begin;
    case 'end-string':
      return POSITION.endString;
    case 'boundary':
      return ascii ? POSITION.asciiBoundary : POSITION.boundary;
    default:
      return ascii ? POSITION.asciiNonBoundary : POSITION.nonBoundary;
  }
}

export function isAnchored(sequence: Sequence, flags: number): boolean {
  const [node] = sequence;
  if (node === undefined) return false;
  if (node.kind === 'position') return positionOf(node.at, flags) === POSITION.begin;
  if (node.kind === 'group') return isAnchored(node.body, combined(flags, node.on, node.off));
  if (node.kind === 'atomic') return isAnchored(node.body, flags);
  return node.kind === 'branch' && node.branches.every((branch) => isAnchored(branch, flags));
}
