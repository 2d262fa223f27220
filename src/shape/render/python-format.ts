import { LimitError, PythonError } from './python-errors.js';
import { parseFormat, type Field, type Piece } from './python-format-parser.js';
import { MAX_TEXT, takeNumber } from './python-format-spec.js';
import { convert, follow, format, type Value } from './python-format-value.js';

/** Whether a format string leaves the numbers of its fields out, or gives them: it may not do both. */
interface Numbering {
  mode: 'none' | 'automatic' | 'manual';
  next: number;
}

/** A format string; `render` is `str.format` with the groups of a match. */
export class PythonFormat {
  readonly #pieces: readonly Piece[];

  /** Throws where the string itself is in error, whatever the groups. */
  constructor(source: string) {
    this.#pieces = parseFormat(source);
  }

  /**
   * What is wrong whatever the groups' texts are, or null: a field that they cannot fill.
   * Fields that a group may or may not fill (`None` with a width, an index) are not known before.
   */
  check(groups: number): PythonError | null {
    try {
      checkPieces(this.#pieces, groups, { mode: 'none', next: 0 }, 2);
      return null;
    } catch (error) {
      if (error instanceof PythonError) return error;
      throw error;
    }
  }

  render(groups: readonly (string | null)[]): string {
    return build(this.#pieces, groups, { mode: 'none', next: 0 }, 2);
  }
}

function build(
  pieces: readonly Piece[],
  groups: readonly (string | null)[],
  numbering: Numbering,
  depth: number,
): string {
  if (depth === 0) throw new PythonError('ValueError', 'Max string recursion exceeded');
  let text = '';
  for (const piece of pieces) {
    text += typeof piece === 'string' ? piece : field(piece, groups, numbering, depth);
    if (text.length > MAX_TEXT) throw new LimitError('the text became too long');
  }
  return text;
}

function field(piece: Field, groups: readonly (string | null)[], numbering: Numbering, depth: number): string {
  const { index, path } = locate(piece.name, groups.length, numbering);
  const group = groups[index] ?? null;
  let value: Value = follow(group === null ? { kind: 'None' } : { kind: 'str', text: group }, path);
  if (piece.conversion !== null) value = convert(value, piece.conversion);
  return format(value, piece.nested ? build(parseFormat(piece.spec), groups, numbering, depth - 1) : piece.spec);
}

/** The group that a field's name begins with, and the rest of the name. */
function locate(
  name: string,
  groups: number,
  numbering: Numbering,
): { readonly index: number; readonly path: readonly string[] } {
  const characters = Array.from(name);
  const end = characters.findIndex((character) => character === '.' || character === '[');
  const first = end < 0 ? characters : characters.slice(0, end);
  const number = takeNumber(first, 0);
  const empty = first.length === 0;
  if (!empty && number.end < first.length) throw new PythonError('KeyError', `'${first.join('')}'`);
  if (numbering.mode === 'none') numbering.mode = empty ? 'automatic' : 'manual';
  if (empty !== (numbering.mode === 'automatic')) {
    throw new PythonError(
      'ValueError',
      empty
        ? 'cannot switch from manual field specification to automatic field numbering'
        : 'cannot switch from automatic field numbering to manual field specification',
    );
  }
  const index = empty ? numbering.next : number.value;
  if (empty) numbering.next += 1;
  if (index >= groups) {
    throw new PythonError('IndexError', `Replacement index ${index} out of range for positional args tuple`);
  }
  return { index, path: end < 0 ? [] : characters.slice(end) };
}

function checkPieces(pieces: readonly Piece[], groups: number, numbering: Numbering, depth: number): void {
  if (depth === 0) throw new PythonError('ValueError', 'Max string recursion exceeded');
  for (const piece of pieces) {
    if (typeof piece === 'string') continue;
    const { path } = locate(piece.name, groups, numbering);
    if (piece.conversion !== null) convert({ kind: 'None' }, piece.conversion);
    if (piece.nested) checkPieces(parseFormat(piece.spec), groups, numbering, depth - 1);
    else if (piece.spec !== '' && (path.length === 0 || piece.conversion !== null))
      format({ kind: 'str', text: '' }, piece.spec);
  }
}
