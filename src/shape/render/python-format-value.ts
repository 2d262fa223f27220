import { PythonError } from './python-errors.js';
import { takeNumber, formatText } from './python-format-spec.js';
import { ascii, repr } from './python-repr.js';

/** What a field can come to: a text, None, or the class of either. */
export type Value =
  | { readonly kind: 'str'; readonly text: string }
  | { readonly kind: 'None' }
  | { readonly kind: 'type'; readonly name: string };

const text = (value: string): Value => ({ kind: 'str', text: value });

const typeName = (value: Value): string => (value.kind === 'str' ? 'str' : value.kind === 'None' ? 'NoneType' : 'type');

export function show(value: Value): string {
  if (value.kind === 'str') return value.text;
  return value.kind === 'None' ? 'None' : `<class '${value.name}'>`;
}

/** `!r`, `!s`, `!a` */
export function convert(value: Value, conversion: string): Value {
  if (conversion === 's') return text(show(value));
  if (conversion === 'r') return text(value.kind === 'str' ? repr(value.text) : show(value));
  if (conversion === 'a') return text(value.kind === 'str' ? ascii(value.text) : show(value));
  const code = conversion.codePointAt(0) ?? 0;
  const shown = code > 32 && code < 127 ? conversion : `\\x${code.toString(16)}`;
  throw new PythonError('ValueError', `Unknown conversion specifier ${shown}`);
}

export function format(value: Value, spec: string): string {
  if (value.kind === 'str') return formatText(value.text, spec);
  if (spec === '') return show(value);
  throw new PythonError('TypeError', `unsupported format string passed to ${typeName(value)}.__format__`);
}

/** What follows the position in a field's name: `.attribute` and `[index]`, any number of them. */
export function follow(start: Value, path: readonly string[]): Value {
  let value = start;
  let at = 0;
  while (at < path.length) {
    const mark = path[at];
    let end = at + 1;
    if (mark === '.') {
      while (end < path.length && path[end] !== '.' && path[end] !== '[') end += 1;
    } else if (mark === '[') {
      while (end < path.length && path[end] !== ']') end += 1;
      if (end === path.length) throw new PythonError('ValueError', "Missing ']' in format string");
    } else {
      throw new PythonError('ValueError', "Only '.' or '[' may follow ']' in format field specifier");
    }
    const name = path.slice(at + 1, end);
    const number = mark === '[' ? takeNumber(name, 0) : null;
    if (name.length === 0) throw new PythonError('ValueError', 'Empty attribute in format string');
    if (number === null) value = attribute(value, name.join(''));
    else value = item(value, number.end === name.length ? number.value : null);
    at = mark === '[' ? end + 1 : end;
  }
  return value;
}

/** An index; null where what is between the brackets is not one. */
function item(value: Value, index: number | null): Value {
  if (value.kind !== 'str') {
    const what = value.kind === 'None' ? "'NoneType' object" : `type '${value.name}'`;
    throw new PythonError('TypeError', `${what} is not subscriptable`);
  }
  if (index === null) throw new PythonError('TypeError', "string indices must be integers, not 'str'");
  const character = Array.from(value.text)[index];
  if (character === undefined) throw new PythonError('IndexError', 'string index out of range');
  return text(character);
}

/**
 * Attributes that are texts or classes. Most others of a `str` are methods, which Python prints with the address that they
 * have in memory: what cannot be the same twice is taken as an error.
 */
function attribute(value: Value, name: string): Value {
  if (name === '__class__') return { kind: 'type', name: typeName(value) };
  if (value.kind === 'type') {
    if (name === '__name__' || name === '__qualname__') return text(value.name);
    if (name === '__module__') return text('builtins');
  }
  throw new PythonError('AttributeError', `'${typeName(value)}' has no attribute '${name}' that can be shown`);
}
