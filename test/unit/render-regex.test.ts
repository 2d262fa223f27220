import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PythonRegex, Subject } from '../../src/shape/render/python-regex.js';

function groups(pattern: string, text: string): readonly (string | null)[] | null {
  return new PythonRegex(pattern).search(new Subject(text));
}

function errorOf(pattern: string): string {
  try {
    // oxlint-disable-next-line no-new
    new PythonRegex(pattern);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
}

describe('what Python finds', () => {
  // Each row was tried with Python 3.11.
  test.each<[string, string, readonly (string | null)[] | null]>([
    // alternatives, groups, repetitions
    [String.raw`(\d+)-(\d+)`, 'from 10-20', ['10', '20']],
    ['(a)|(b)', 'b', [null, 'b']],
    ['(?:(a)|(b))+', 'ab', ['a', 'b']],
    ['(a*)*', 'b', ['']],
    ['(a|ab)(c|bcd)(d*)', 'abcd', ['a', 'bcd', '']],
    ['(?:a*?)*?(b)', 'aab', ['b']],
    ['(x{2,3}?)(x*)', 'xxxx', ['xx', 'xx']],
    ['(x{,2})', 'xxx', ['xx']],
    ['x{,}(y)', 'xxy', ['y']],
    ['(a{2)', 'a{2', ['a{2']],
    ['(x{0})y', 'y', ['']],
    // positions
    ['^(.*)$', 'one\n', ['one']],
    ['^(.*)$', 'one\ntwo', null],
    ['(?m)^(t.*)$', 'one\ntwo\n', ['two']],
    [String.raw`^(.*)\Z`, 'one\n', null],
    [String.raw`\A(o)`, 'no', null],
    [String.raw`\b(é\w*)`, 'caé été', ['été']],
    [String.raw`()\B`, '', null],
    // Unicode classes, code points, case
    [String.raw`(\w+)`, 'naïve²½x', ['naïve²½x']],
    [String.raw`(?a)(\w+)$`, 'naïve', ['ve']],
    [String.raw`(\d+)`, '²١٢', ['١٢']],
    [String.raw`(\s+)`, 'a\u001c\u00a0\u2003b', ['\u001c\u00a0\u2003']],
    ['^(.{2})', '🦊🦉x', ['🦊🦉']],
    [String.raw`([\U0001F980-\U0001F98F])`, 'a🦊', ['🦊']],
    [String.raw`(\ud83e\udd8a)`, '🦊', null],
    ['(?i)(straße)', 'STRAẞE', ['STRAẞE']],
    ['(?i)(i)', 'ı', ['ı']],
    ['(?i)(ς)', 'Σ', ['Σ']],
    ['(?i)([k-l]+)', '\u212aL', ['\u212aL']],
    ['(?ai)(k)', '\u212a', null],
    ['(?i)([^k]+)', '\u212ak', null],
    ['(?i:a)(B)', 'AB', ['B']],
    ['(?i)a(?-i:(b))', 'Ab', ['b']],
    [String.raw`(\N{EM DASH}|\N{fox face}|\N{LF})`, 'a\u2014', ['\u2014']],
    // verbose, comments, octal
    ['(?x) ( a \\  b ) # c', 'a b', ['a b']],
    ['a(?# not this )(b)', 'ab', ['b']],
    [String.raw`(\101\x42\0)`, 'AB\0', ['AB\0']],
    [String.raw`([\b\]^-]+)`, '-^]\b', ['-^]\b']],
    // what only a backtracking engine has
    [String.raw`(['"])(.*?)\1`, `say 'it"s' now`, ["'", 'it"s']],
    ['(?P<q>a|b)x(?P=q)', 'axbxb', ['b']],
    ['(?<!no )(way)', 'no way, my way', ['way']],
    ['(?<=a(?=b))(.)', 'ab', ['b']],
    ['(?=(a+))(a)', 'aaa', ['aaa', 'a']],
    ['(?!(a)b)(.)', 'ac', [null, 'a']],
    ['(a)?(?(1)b|c)(d)', 'cd', [null, 'd']],
    ['(?>a+)(b)', 'aab', ['b']],
    ['(?>a|ab)(c)', 'abc', null],
    ['(?:a|ab)++(c)', 'abc', null],
    ['(a){2}+a', 'aa', null],
  ])('%s in %j', (pattern, text, expected) => {
    expect(groups(pattern, text)).toEqual(expected);
  });
});

test.each([
  ['(', 're.error: missing ), unterminated subpattern at position 0'],
  [')', 're.error: unbalanced parenthesis at position 0'],
  ['*a', 're.error: nothing to repeat at position 0'],
  ['a**', 're.error: multiple repeat at position 2'],
  ['a{3,2}', 're.error: min repeat greater than max repeat at position 2'],
  ['a{4294967295}', 'OverflowError: the repetition number is too large'],
  ['[z-a]', 're.error: bad character range z-a at position 1'],
  [String.raw`[a-\w]`, String.raw`re.error: bad character range a-\w at position 1`],
  ['[a', 're.error: unterminated character set at position 0'],
  [String.raw`\p{L}`, String.raw`re.error: bad escape \p at position 0`],
  ['\\', 're.error: bad escape (end of pattern) at position 0'],
  [String.raw`\x1`, String.raw`re.error: incomplete escape \x1 at position 0`],
  [String.raw`\U00110000`, String.raw`re.error: bad escape \U00110000 at position 0`],
  [String.raw`\400`, String.raw`re.error: octal escape value \400 outside of range 0-0o377 at position 0`],
  [String.raw`\N{NO SUCH THING}`, "re.error: undefined character name 'NO SUCH THING' at position 0"],
  [String.raw`(a)\2`, 're.error: invalid group reference 2 at position 4'],
  [String.raw`(a\1)`, 're.error: cannot refer to an open group at position 2'],
  ['(?P<a>.)(?P<a>.)', "re.error: redefinition of group name 'a' as group 2; was group 1 at position 12"],
  ['(?P<1>.)', "re.error: bad character in group name '1' at position 4"],
  ['(?P=no)', "re.error: unknown group name 'no' at position 4"],
  ['(?<name>.)', 're.error: unknown extension ?<n at position 1'],
  ['(?(2)a|b)(c)', 're.error: invalid group reference 2 at position 3'],
  ['(?<=a+)b', 're.error: look-behind requires fixed-width pattern'],
  ['(?:(?<=a|bc)){0}', 're.error: look-behind requires fixed-width pattern'],
  ['a(?i)', 're.error: global flags not at the start of the expression at position 1'],
  ['(?L)a', "re.error: bad inline flags: cannot use 'L' flag with a str pattern at position 3"],
  ['(?a)(?u)a', 'ValueError: ASCII and UNICODE flags are incompatible'],
  ['(?i-i:a)', 're.error: bad inline flags: flag turned on and off at position 5'],
  ['(?', 're.error: unexpected end of pattern at position 2'],
])('%s is an error', (pattern, message) => {
  expect(errorOf(pattern)).toBe(message);
});

/** Of this process: how busy the machine is does not show in it. */
function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe('no search runs for long', () => {
  const SIZE = 50_000;
  const a = 'a'.repeat(SIZE);

  test.each([
    ['(a+)+$', `${a}b`],
    ['(a|aa)+$', `${a}b`],
    ['((a*)*)*b', a],
    [String.raw`(\w+\s?)*!`, 'word '.repeat(SIZE / 5)],
    ['(.*?,){11}P', '1,2,3,4,'.repeat(SIZE / 8)],
    ['.*.*.*=.*x', a],
    ['(?=.*b)c', a],
    ['(?>a*b|a)*c', a],
  ])('%s ends, in linear time', (pattern, text) => {
    // About 50 ms.
    expect(cpuMs(() => expect(groups(pattern, text)).toBeNull())).toBeLessThan(2_000);
  });

  test.each([
    [String.raw`(.+)\1!`, a],
    ['(?:(a)|b)*(?(1)c|d)', a],
    ['((?:ab?){1,1000}){1,1000}c', a],
    ['(?=.*a)b', a],
    ['(?:[ab]{0,400}c){2}', a],
  ])('%s is given up', (pattern, text) => {
    expect(cpuMs(() => expect(() => groups(pattern, text)).toThrow(/took more than \d+ steps/u))).toBeLessThan(4_000);
  });

  test('a search keeps within its memory', () => {
    expect(() => groups('(?:(a)|(b))*$', 'ab'.repeat(2_000_000) + 'c')).toThrow(/memory|steps/u);
  });
});

describe('against the engine of this Node', () => {
  // What both engines read alike: no group is repeated (they differ in what such groups keep), nor what may be empty.
  const unit = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', String.raw`\d`, '1');
  const quantifier = fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{0,2}?');
  const { pattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
    piece: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.tuple(unit, quantifier).map(([one, many]) => one + many),
      tie('pattern').map((inner) => `(${inner})`),
      fc.tuple(tie('pattern'), quantifier).map(([inner, many]) => `(?:a(?:${inner.replaceAll(/\((?!\?)/gu, '(?:')}))${many}`),
      fc.constantFrom('^', '$', String.raw`\b`, '(?=a)', '(?!b)', '(?<=a)'),
    ),
    pattern: fc.oneof(
      fc.array(tie('piece'), { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join('')),
      fc.tuple(tie('piece'), tie('piece')).map(([one, other]) => `${one}|${other}`),
    ),
  }));

  test('the same groups', () => {
    fc.assert(
      fc.property(pattern, fc.string({ unit: fc.constantFrom('a', 'a', 'b', '1', '-'), maxLength: 30 }), (source, text) => {
        const expected = new RegExp(`(${source})`, 'u').exec(text);
        expect(groups(`(${source})`, text)).toEqual(expected && [...expected].slice(1).map((group) => group ?? null));
      }),
      { numRuns: 2_000 },
    );
  });
});

test('a pattern that is no pattern gives an error of Python, and nothing else', () => {
  const piece = fc.constantFrom(...'()[]{}*+?|^$.\\:<>=!P#-,12ainsxLuN '.split(''), '(?', '(?P<', '\\N{', '\\U0001', '🦊');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
      expect(errorOf(pieces.join(''))).toMatch(/^(no error|re\.error: .+|ValueError: .+|OverflowError: .+)$/su);
    }),
    { numRuns: 3_000 },
  );
});
