import { decimalValue } from './python-characters.js';
import { LimitError, PythonError } from './python-errors.js';

/** The longest text that a format may give. */
export const MAX_TEXT = 16_000_000;

interface Spec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly zeroes: boolean;
  readonly alternate: boolean;
  readonly width: number;
  readonly precision: number;
  readonly type: string;
}

const valueError = (message: string): PythonError => new PythonError('ValueError', message);

/** `format(text, spec)` of a Python `str`. */
export function formatText(text: string, specText: string): string {
  if (specText === '') return text;
  const spec = parseSpec(Array.from(specText), specText);
  if (spec.type !== 's') throw valueError(`Unknown format code '${printable(spec.type)}' for object of type 'str'`);
  if (spec.sign === ' ') throw valueError('Space not allowed in string format specifier');
  if (spec.sign !== '') throw valueError('Sign not allowed in string format specifier');
  if (spec.zeroes) throw valueError('Negative zero coercion (z) not allowed in string format specifier');
  if (spec.alternate) throw valueError('Alternate form (#) not allowed in string format specifier');
  if (spec.align === '=') throw valueError("'=' alignment not allowed in string format specifier");
  const characters = Array.from(text);
  const shown =
    spec.precision >= 0 && spec.precision < characters.length ? characters.slice(0, spec.precision) : characters;
  const padding = spec.width - shown.length;
  const body = shown.length === characters.length ? text : shown.join('');
  if (padding <= 0) return body;
  if (padding > MAX_TEXT) throw new LimitError(`a width of ${spec.width} gives too long a text`);
  const left = spec.align === '>' ? padding : spec.align === '^' ? Math.floor(padding / 2) : 0;
  return spec.fill.repeat(left) + body + spec.fill.repeat(padding - left);
}

/** `[[fill]align][sign][z][#][0][width][grouping][.precision][type]` */
function parseSpec(characters: readonly string[], whole: string): Spec {
  let at = 0;
  const is = (accepted: string, offset = 0): boolean => {
    const character = characters[at + offset];
    return character !== undefined && accepted.includes(character);
  };
  const take = (accepted: string): string => {
    if (!is(accepted)) return '';
    at += 1;
    return characters[at - 1] ?? '';
  };
  let fill = '';
  if (is('<>=^', 1)) {
    fill = characters[at] ?? '';
    at += 1;
  }
  const align = take('<>=^');
  const sign = take(' +-');
  const zeroes = take('z') !== '';
  const alternate = take('#') !== '';
  if (fill === '' && take('0') !== '') fill = '0';
  const width = takeNumber(characters, at);
  at = width.end;
  const comma = take(',');
  const underscore = take('_');
  if (underscore !== '' && (comma !== '' || is(','))) throw valueError("Cannot specify both ',' and '_'.");
  let precision = -1;
  if (take('.') !== '') {
    const digits = takeNumber(characters, at);
    if (digits.end === at) throw valueError('Format specifier missing precision');
    at = digits.end;
    precision = digits.value;
  }
  if (characters.length - at > 1) throw valueError(`Invalid format specifier '${whole}' for object of type 'str'`);
  const type = characters[at] ?? 's';
  const grouping = underscore === '' ? comma : underscore;
  const groupable = grouping === '_' ? 'defgEG%F\0boxX' : 'defgEG%F\0';
  if (grouping !== '' && !groupable.includes(type)) {
    throw valueError(`Cannot specify '${grouping}' with '${printable(type)}'.`);
  }
  return {
    fill: fill === '' ? ' ' : fill,
    align: align === '' ? '<' : align,
    sign,
    zeroes,
    alternate,
    width: width.value,
    precision,
    type,
  };
}

/** Digits of any script. */
export function takeNumber(
  characters: readonly string[],
  from: number,
): { readonly value: number; readonly end: number } {
  let value = 0;
  let end = from;
  for (; end < characters.length; end += 1) {
    const digit = decimalValue(characters[end]?.codePointAt(0) ?? 0);
    if (digit < 0) break;
    value = value * 10 + digit;
    if (value > Number.MAX_SAFE_INTEGER) throw valueError('Too many decimal digits in format string');
  }
  return { value: end === from ? -1 : value, end };
}

function printable(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 32 && code < 128 ? character : `\\x${code.toString(16)}`;
}
