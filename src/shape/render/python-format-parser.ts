import { PythonError } from './python-errors.js';

/** A replacement field as it is written. */
export interface Field {
  readonly name: string;
  readonly conversion: string | null;
  readonly spec: string;
  /** the spec holds fields itself */
  readonly nested: boolean;
}

export type Piece = string | Field;

const valueError = (message: string): PythonError => new PythonError('ValueError', message);

/** Splits a format string into texts and fields, as `str.format` does. */
export function parseFormat(format: string): readonly Piece[] {
  const characters = Array.from(format);
  const pieces: Piece[] = [];
  let text = '';
  let at = 0;
  while (at < characters.length) {
    const character = characters[at] ?? '';
    at += 1;
    if (character !== '{' && character !== '}') {
      text += character;
    } else if (characters[at] === character) {
      text += character;
      at += 1;
    } else if (character === '}' || at === characters.length) {
      throw valueError(`Single '${character}' encountered in format string`);
    } else {
      if (text !== '') pieces.push(text);
      text = '';
      const { field, end } = parseField(characters, at);
      pieces.push(field);
      at = end;
    }
  }
  if (text !== '') pieces.push(text);
  return pieces;
}

function parseField(characters: readonly string[], start: number): { readonly field: Field; readonly end: number } {
  let at = start;
  let mark: string | undefined;
  while (mark === undefined && at < characters.length) {
    const character = characters[at] ?? '';
    at += 1;
    if (character === '{') throw valueError("unexpected '{' in field name");
    if (character === '[') while (at < characters.length && characters[at] !== ']') at += 1;
    else if (character === '}' || character === ':' || character === '!') mark = character;
  }
  if (mark === undefined) throw valueError("expected '}' before end of string");
  const name = characters.slice(start, at - 1).join('');
  if (mark === '}') return { field: { name, conversion: null, spec: '', nested: false }, end: at };
  let conversion: string | null = null;
  if (mark === '!') {
    conversion = characters[at] ?? null;
    if (conversion === null) throw valueError('end of string while looking for conversion specifier');
    const next = characters[at + 1];
    at += next === undefined ? 1 : 2;
    if (next === '}') return { field: { name, conversion, spec: '', nested: false }, end: at };
    if (next !== undefined && next !== ':') throw valueError("expected ':' after conversion specifier");
  }
  let depth = 1;
  let nested = false;
  for (let end = at; end < characters.length; end += 1) {
    if (characters[end] === '{') {
      depth += 1;
      nested = true;
    } else if (characters[end] === '}') {
      depth -= 1;
      if (depth === 0) {
        return { field: { name, conversion, spec: characters.slice(at, end).join(''), nested }, end: end + 1 };
      }
    }
  }
  throw valueError("unmatched '{' in format spec");
}
