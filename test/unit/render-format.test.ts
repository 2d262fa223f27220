import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { PythonFormat } from '../../src/shape/render/python-format.js';

function format(source: string, ...groups: (string | null)[]): string {
  try {
    return new PythonFormat(source).render(groups);
  } catch (error) {
    return (error as Error).message;
  }
}

// Each row was tried with Python 3.11.
test.each<[string, readonly (string | null)[], string]>([
  ['{0} {1} {0}', ['a', 'b'], 'a b a'],
  ['{} {}', ['a', 'b'], 'a b'],
  ['{{}} {{{0}}}', ['a'], '{} {a}'],
  ['[{0:<4}|{0:>4}|{0:^4}|{0:é^5}]', ['ab'], '[ab  |  ab| ab |éabéé]'],
  ['{0:.2}{0:4.1}|{0:04}', ['🦊bc'], '🦊b🦊   |🦊bc0'],
  ['{0:{1}.{2}}|', ['abc', '5', '2'], 'ab   |'],
  ['{0[0]}{0[1]}', ['🦊b'], '🦊b'],
  ['{0.__class__} {0.__class__.__name__}', ['a'], "<class 'str'> str"],
  ['{0} {0!r} {0.__class__}', [null], "None None <class 'NoneType'>"],
  ['{0!r} {1!r} {2!r}', ["it's", '"', `'"`], `"it's" '"' '\\'"'`],
  ['{0!r}', ['\n\t\\\u0000\u00ad\u2028\ue000é🦊'], String.raw`'\n\t\\\x00\xad\u2028\ue000é🦊'`],
  ['{0!a:>12}', ['é🦊'], String.raw`'\xe9\U0001f98a'`],
  ['{１}', ['a', 'b'], 'b'],
  // errors
  ['{1}', ['a'], 'IndexError: Replacement index 1 out of range for positional args tuple'],
  ['{name}', ['a'], "KeyError: 'name'"],
  ['{ 0}', ['a'], "KeyError: ' 0'"],
  ['{} {0}', ['a'], 'ValueError: cannot switch from automatic field numbering to manual field specification'],
  ['{0} {}', ['a'], 'ValueError: cannot switch from manual field specification to automatic field numbering'],
  ['{', [], "ValueError: Single '{' encountered in format string"],
  ['a}b', [], "ValueError: Single '}' encountered in format string"],
  ['{0', ['a'], "ValueError: expected '}' before end of string"],
  ['{0:', ['a'], "ValueError: unmatched '{' in format spec"],
  ['{0{', ['a'], "ValueError: unexpected '{' in field name"],
  ['{0!x}', ['a'], 'ValueError: Unknown conversion specifier x'],
  ['{0!rr}', ['a'], "ValueError: expected ':' after conversion specifier"],
  ['{0:5}', [null], 'TypeError: unsupported format string passed to NoneType.__format__'],
  ['{0:d}', ['a'], "ValueError: Unknown format code 'd' for object of type 'str'"],
  ['{0:+}', ['a'], 'ValueError: Sign not allowed in string format specifier'],
  ['{0: }', ['a'], 'ValueError: Space not allowed in string format specifier'],
  ['{0:=5}', ['a'], "ValueError: '=' alignment not allowed in string format specifier"],
  ['{0:#}', ['a'], 'ValueError: Alternate form (#) not allowed in string format specifier'],
  ['{0:,}', ['a'], "ValueError: Cannot specify ',' with 's'."],
  ['{0:5.}', ['a'], 'ValueError: Format specifier missing precision'],
  ['{0:abc}', ['a'], "ValueError: Invalid format specifier 'abc' for object of type 'str'"],
  ['{0:{0:{0}}}', ['1'], 'ValueError: Max string recursion exceeded'],
  ['{0[1]}', ['a'], 'IndexError: string index out of range'],
  ['{0[-1]}', ['a'], "TypeError: string indices must be integers, not 'str'"],
  ['{0[0]}', [null], "TypeError: 'NoneType' object is not subscriptable"],
  ['{0.}', ['a'], 'ValueError: Empty attribute in format string'],
  ['{0[0]x}', ['a'], "ValueError: Only '.' or '[' may follow ']' in format field specifier"],
  ['{99999999999999999999}', ['a'], 'ValueError: Too many decimal digits in format string'],
])('%s of %j', (source, groups, expected) => {
  expect(format(source, ...groups)).toBe(expected);
});

test('methods, which Python prints with their address in memory, are not supported', () => {
  expect(format('{0.upper}', 'a')).toBe("AttributeError: 'str' has no attribute 'upper' that can be shown");
});

test('a width does not take the memory', () => {
  expect(format('{0:999999999}', 'a')).toBe('a width of 999999999 gives too long a text');
  expect(format('{0}'.repeat(100), 'a'.repeat(1_000_000))).toBe('the text became too long');
});

test('what can be known without a text is said before', () => {
  const check = (source: string, groups: number): string | undefined => new PythonFormat(source).check(groups)?.message;
  expect(check('{0} {1}', 2)).toBeUndefined();
  expect(check('{0:>5} {1[3]} {0:{1}}', 2)).toBeUndefined();
  expect(check('{2}', 2)).toBe('IndexError: Replacement index 2 out of range for positional args tuple');
  expect(check('{0:{}}', 2)).toContain('cannot switch');
  expect(check('{0:d}', 1)).toContain('Unknown format code');
  expect(check('{0!q}', 1)).toContain('Unknown conversion');
});

test('a text without braces stays as it is, and so does one with its braces doubled', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (text, group) => {
      const doubled = text.replaceAll('{', '{{').replaceAll('}', '}}');
      expect(format(`${doubled}{0}`, group)).toBe(text + group);
    }),
  );
});

test('a check that finds nothing wrong leaves only what depends on the groups', () => {
  const piece = fc.constantFrom('{0}', '{1!r}', '{}', '{0:>5}', '{0:{1}}', '{2}', '{x}', '{0:d}', 'a', '{{', '{0[0]}');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
      const source = new PythonFormat(pieces.join(''));
      if (source.check(2) === null) expect(() => source.render(['7', '8'])).not.toThrow();
      else expect(() => source.render(['7', '8'])).toThrow();
    }),
  );
});
