import { PythonError } from './python-errors.js';
import { parseClass } from './python-regex-class.js';
import { parseEscape } from './python-regex-escapes.js';
import { parseGroup } from './python-regex-group.js';
import { ParserState } from './python-regex-state.js';
import { FLAG, MAX_REPEAT, type Node, type RepeatMode, type Sequence, type Width } from './python-regex-syntax.js';
import { RegexSource, regexError } from './python-regex-source.js';

export interface ParsedPattern {
  readonly root: Sequence;
  readonly flags: number;
  /** groups that capture */
  readonly groups: number;
  readonly widths: readonly (Width | null)[];
}

/** A Python `str` pattern, as `re.compile` of Python 3.11 reads it; throws what Python would. */
export function parsePattern(pattern: string): ParsedPattern {
  const source = new RegexSource(pattern);
  const state = new ParserState();
  const root = parseBranches(source, state, false, true);
  if ((state.flags & FLAG.a) !== 0 && (state.flags & FLAG.u) !== 0) {
    throw new PythonError('ValueError', 'ASCII and UNICODE flags are incompatible');
  }
  if (source.next !== null) throw source.error('unbalanced parenthesis');
  for (const [group, position] of state.conditions) {
    if (group >= state.count) throw regexError(`invalid group reference ${group}`, position);
  }
  return { root, flags: state.flags, groups: state.count - 1, widths: state.widths };
}

/** Alternatives, up to the end or a closing parenthesis. */
function parseBranches(source: RegexSource, state: ParserState, verbose: boolean, top = false): Sequence {
  const branches = [parseSequence(source, state, verbose, top)];
  while (source.match('|')) {
    branches.push(parseSequence(source, state, top ? (state.flags & FLAG.x) !== 0 : verbose));
  }
  const [only] = branches;
  return branches.length === 1 && only !== undefined ? only : [{ kind: 'branch', branches }];
}

function parseSequence(source: RegexSource, state: ParserState, verbose: boolean, first = false): Sequence {
  const nodes: Node[] = [];
  let ignoreSpace = verbose;
  for (;;) {
    const piece = source.next;
    if (piece === null || piece === '|' || piece === ')') return nodes;
    source.get();
    if (ignoreSpace && skipped(source, piece)) continue;
    if (piece.startsWith('\\')) {
      nodes.push(
        parseEscape(source, piece, {
          count: state.count,
          check: (group, escape) => state.checkReference(group, source, escape.length),
        }),
      );
    } else if (piece === '[') {
      nodes.push(parseClass(source));
    } else if ('*+?{'.includes(piece)) {
      parseRepeat(source, piece, nodes);
    } else if (piece === '.') {
      nodes.push({ kind: 'any' });
    } else if (piece === '(') {
      const group = parseGroup(
        {
          source,
          state,
          verbose: ignoreSpace,
          branches: (inner) => parseBranches(source, state, inner),
          sequence: (inner) => parseSequence(source, state, inner),
        },
        first && nodes.length === 0,
      );
      if (group === 'flags') ignoreSpace = (state.flags & FLAG.x) !== 0;
      else if (group !== 'nothing') nodes.push(group);
    } else if (piece === '^' || piece === '$') {
      nodes.push({ kind: 'position', at: piece === '^' ? 'begin' : 'end' });
    } else {
      nodes.push({ kind: 'char', code: piece.codePointAt(0) ?? 0, negate: false });
    }
  }
}

/** White space and comments of a verbose pattern. */
function skipped(source: RegexSource, piece: string): boolean {
  if (piece.length === 1 && ' \t\n\r\v\f'.includes(piece)) return true;
  if (piece !== '#') return false;
  for (;;) {
    const taken = source.get();
    if (taken === null || taken === '\n') return true;
  }
}

function parseRepeat(source: RegexSource, piece: string, nodes: Node[]): void {
  const here = source.tell();
  const bounds =
    piece === '{'
      ? parseBounds(source, here)
      : ({ '?': [0, 1], '*': [0, MAX_REPEAT], '+': [1, MAX_REPEAT] } as const)[piece];
  if (bounds === null || bounds === undefined) {
    nodes.push({ kind: 'char', code: 123, negate: false });
    return;
  }
  const item = nodes.at(-1);
  if (item === undefined || item.kind === 'position') {
    throw source.error('nothing to repeat', source.tell() - here + piece.length);
  }
  if (item.kind === 'repeat') throw source.error('multiple repeat', source.tell() - here + piece.length);
  const mode: RepeatMode = source.match('?') ? 'lazy' : source.match('+') ? 'possessive' : 'greedy';
  nodes[nodes.length - 1] = { kind: 'repeat', min: bounds[0], max: bounds[1], mode, body: [item] };
}

/** `{m}`, `{m,}`, `{,n}`, `{m,n}`; null where the brace is only a brace. */
function parseBounds(source: RegexSource, here: number): readonly [number, number] | null {
  if (source.next === '}') return null;
  const low = source.getWhile(Infinity, /^[0-9]$/u);
  const high = source.match(',') ? source.getWhile(Infinity, /^[0-9]$/u) : low;
  if (!source.match('}')) {
    source.seek(here);
    return null;
  }
  const min = low === '' ? 0 : Number(low);
  const max = high === '' ? MAX_REPEAT : Number(high);
  if (min >= MAX_REPEAT || (high !== '' && max >= MAX_REPEAT)) {
    throw new PythonError('OverflowError', 'the repetition number is too large');
  }
  if (max < min) throw source.error('min repeat greater than max repeat', source.tell() - here);
  return [min, max];
}
