import { strip } from './python-characters.js';
import { flagOf, parseFlags } from './python-regex-flags.js';
import { checkName, isIdentifier, type ParserState } from './python-regex-state.js';
import { FLAG, type Node, type Sequence } from './python-regex-syntax.js';
import { length, type RegexSource } from './python-regex-source.js';
import { repr } from './python-repr.js';

/** Limit of Python's own. */
const MAX_GROUPS = 1_073_741_823;

/** Where a group is read, and how what is in it is read. */
export interface GroupContext {
  readonly source: RegexSource;
  readonly state: ParserState;
  readonly verbose: boolean;
  branches(verbose: boolean): Sequence;
  sequence(verbose: boolean): Sequence;
}

/** What a parenthesis gives: a node, flags of the whole pattern, or nothing (a comment). */
export type Group = Node | 'flags' | 'nothing';

/** The opening parenthesis is already taken; `atStart`: flags of the whole pattern may stand here. */
export function parseGroup(context: GroupContext, atStart: boolean): Group {
  const { source, state, verbose } = context;
  const start = source.tell() - 1;
  if (!source.match('?')) return capture(context, start, null);
  const kind = taken(source);
  switch (kind) {
    case 'P':
      return named(context, start);
    case ':':
      return inner(context, start, 0, 0);
    case '#':
      return comment(source, start);
    case '=':
    case '!':
      return look(context, start, false, kind === '!');
    case '<': {
      const negate = taken(source);
      if (negate !== '=' && negate !== '!') throw source.error(`unknown extension ?<${negate}`, length(negate) + 2);
      return look(context, start, true, negate === '!');
    }
    case '(':
      return conditional(context, start);
    case '>': {
      const body = context.branches(verbose);
      close(source, start);
      return { kind: 'atomic', body };
    }
    default: {
      if (kind !== '-' && flagOf(kind) === null) throw source.error(`unknown extension ?${kind}`, length(kind) + 1);
      const flags = parseFlags(source, kind);
      if (flags.scope === 'group') return inner(context, start, flags.on, flags.off);
      state.flags |= flags.on;
      if (!atStart) throw source.error('global flags not at the start of the expression', source.tell() - start);
      return 'flags';
    }
  }
}

function taken(source: RegexSource): string {
  const piece = source.get();
  if (piece === null) throw source.error('unexpected end of pattern');
  return piece;
}

function close(source: RegexSource, start: number): void {
  if (!source.match(')')) throw source.error('missing ), unterminated subpattern', source.tell() - start);
}

function capture(context: GroupContext, start: number, name: string | null): Node {
  const { source, state, verbose } = context;
  const index = state.open(name, source);
  const body = context.branches(verbose);
  close(source, start);
  state.close(index, body);
  return { kind: 'group', index, on: 0, off: 0, body };
}

function inner(context: GroupContext, start: number, on: number, off: number): Node {
  const { source, verbose } = context;
  const ignoreSpace = (verbose || (on & FLAG.x) !== 0) && (off & FLAG.x) === 0;
  const body = context.branches(ignoreSpace);
  close(source, start);
  return { kind: 'group', index: null, on, off, body };
}

function named(context: GroupContext, start: number): Node {
  const { source, state } = context;
  if (source.match('<')) {
    const name = source.getUntil('>', 'group name');
    checkName(name, source);
    return capture(context, start, name);
  }
  if (source.match('=')) {
    const name = source.getUntil(')', 'group name');
    checkName(name, source);
    const group = groupNamed(name, source, state);
    state.checkReference(group, source, length(name) + 1);
    return { kind: 'reference', group };
  }
  const piece = taken(source);
  throw source.error(`unknown extension ?P${piece}`, length(piece) + 2);
}

function groupNamed(name: string, source: RegexSource, state: ParserState): number {
  const group = state.names.get(name);
  if (group === undefined) throw source.error(`unknown group name ${repr(name)}`, length(name) + 1);
  return group;
}

function comment(source: RegexSource, start: number): 'nothing' {
  for (;;) {
    if (source.next === null) throw source.error('missing ), unterminated comment', source.tell() - start);
    if (source.get() === ')') return 'nothing';
  }
}

function look(context: GroupContext, start: number, behind: boolean, negate: boolean): Node {
  const { source, state, verbose } = context;
  const outermost = behind && state.lookBehindGroups === null;
  if (outermost) state.lookBehindGroups = state.count;
  const body = context.branches(verbose);
  if (outermost) state.lookBehindGroups = null;
  close(source, start);
  return { kind: 'look', behind, negate, body };
}

function conditional(context: GroupContext, start: number): Node {
  const { source, state, verbose } = context;
  const name = source.getUntil(')', 'group name');
  const group = isIdentifier(name) ? groupNamed(name, source, state) : groupNumbered(name, source, state);
  state.checkLookBehind(group, source);
  const yes = context.sequence(verbose);
  let no = null;
  if (source.match('|')) {
    no = context.sequence(verbose);
    if (source.next === '|') throw source.error('conditional backref with more than two branches');
  }
  close(source, start);
  return { kind: 'conditional', group, yes, no };
}

/** What Python's int() takes is a number here: ` +1_0 ` is 10. */
function groupNumbered(name: string, source: RegexSource, state: ParserState): number {
  const size = length(name);
  const digits = strip(name).replace(/^[+]/u, '');
  if (!/^-?[0-9]+(?:_[0-9]+)*$/u.test(digits) || Number(digits.replaceAll('_', '')) < 0) {
    throw source.error(`bad character in group name ${repr(name)}`, size + 1);
  }
  const group = Math.abs(Number(digits.replaceAll('_', '')));
  if (group === 0) throw source.error('bad group number', size + 1);
  if (group >= MAX_GROUPS) throw source.error(`invalid group reference ${group}`, size + 1);
  if (!state.conditions.has(group)) state.conditions.set(group, source.tell() - size - 1);
  return group;
}
