import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { objectEntries, objectText } from '../../src/shape/render/raw-json.js';
import { applyTemplates, compileTemplates, type ContentTemplate } from '../../src/shape/render/templates.js';

function template(search: string, parts: Partial<ContentTemplate> = {}, id = '1'): ContentTemplate {
  return {
    id,
    searchString: search,
    contentTemplate: '',
    argumentTemplate: null,
    attachmentTemplate: null,
    kwargTemplate: null,
    ...parts,
  };
}

function apply(text: string, ...templates: readonly ContentTemplate[]) {
  const rendered = applyTemplates(compileTemplates(templates), text);
  return { ...rendered, kwargs: Object.fromEntries(rendered.kwargs) };
}

test('without a template that matches, the text is what it was', () => {
  const none = { content: 'hello', args: [], kwargs: {}, attachment: null, problems: [] };
  expect(apply('hello')).toEqual(none);
  expect(apply('hello', template('^bye', { contentTemplate: 'x', argumentTemplate: 'y' }))).toEqual(none);
});

test('the content replaces the whole text', () => {
  expect(apply('well: GOAL by Ana!', template(String.raw`GOAL by (\w+)`, { contentTemplate: '<b>{0}</b>' })).content).toBe('<b>Ana</b>');
  expect(apply('GOAL', template('GOAL', { contentTemplate: '' })).content).toBe('GOAL');
});

describe('several templates', () => {
  test('take part by the text as it was written, and change the text one after the other', () => {
    const first = template('^GOAL (.*)', { contentTemplate: '<i>{0}</i>' });
    const second = template('(Ana)', { contentTemplate: '[{0}]', argumentTemplate: 'player' }, '2');
    const third = template('<i>', { contentTemplate: 'never', argumentTemplate: 'never' }, '3');
    expect(apply('GOAL Ana', first, second, third)).toMatchObject({ content: '[Ana]', args: ['player'] });
  });

  test('one that no longer finds its pattern leaves the content, and gives its other parts', () => {
    const first = template('a', { contentTemplate: 'gone' });
    const second = template('(b)', { contentTemplate: '{0}!', argumentTemplate: 'b-{0}', kwargTemplate: '{"k": "{0}"}' }, '2');
    expect(apply('a b', first, second)).toMatchObject({
      content: 'gone',
      args: ['b-b'],
      kwargs: { k: '"b"' },
      problems: [],
    });
  });

  test('args of later ones come first', () => {
    expect(apply('x', template('x', { argumentTemplate: 'a, b' }), template('x', { argumentTemplate: 'c' }, '2')).args).toEqual(['c', 'a', 'b']);
  });

  test('kwargs and attachments are laid over those of earlier ones, each key at its first place', () => {
    const first = template('x', { kwargTemplate: '{"10": 1, "a": 1}', attachmentTemplate: '{"t": "1", "10": null}' });
    const second = template('x', { kwargTemplate: '{"b": 2, "10": 2}', attachmentTemplate: '{"z": [], "t": "2"}' }, '2');
    const rendered = applyTemplates(compileTemplates([first, second]), 'x');
    expect([...rendered.kwargs]).toEqual([
      ['10', '2'],
      ['a', '1'],
      ['b', '2'],
    ]);
    expect(rendered.attachment).toBe('{"t":"2","10":null,"z":[]}');
  });
});

test('args are split at every comma and stripped before they are filled in', () => {
  expect(apply('go 7', template(String.raw`go (\d)`, { argumentTemplate: ' n-{0} ,, {{x}}\u001c,{}' })).args).toEqual(['n-7', '', '{x}', '7']);
  expect(apply('go', template('go', { argumentTemplate: ' ' })).args).toEqual(['']);
  expect(apply('go', template('go', { argumentTemplate: '' })).args).toEqual([]);
  expect(apply('a,b', template('(.*)', { argumentTemplate: '{0}' })).args).toEqual(['a,b']);
});

test('of the JSON, only texts at the top are filled in; every digit stays', () => {
  const json = '{"s": "{0} \\u00e9\\"", "n": 12345678901234567890, "d": 1.10, "deep": {"s": "{0}", "n": [1.0, 1e2]}, "t": true, "x": null}';
  expect(apply('go', template('(go)', { kwargTemplate: json })).kwargs).toEqual({
    s: '"go é\\""',
    n: '12345678901234567890',
    d: '1.10',
    deep: '{"s": "{0}", "n": [1.0, 1e2]}',
    t: 'true',
    x: 'null',
  });
  expect(apply('go', template('go', { kwargTemplate: '[1]', attachmentTemplate: '"x"' }))).toMatchObject({
    kwargs: {},
    attachment: null,
  });
  expect(apply('go', template('go', { attachmentTemplate: '{}' })).attachment).toBeNull();
});

describe('a template in error', () => {
  const broken = (parts: Partial<ContentTemplate>, search = '(go)') => template(search, parts, '7');

  test.each<[string, ContentTemplate]>([
    ['re.error: missing ), unterminated subpattern at position 0', broken({}, '(go')],
    ["KeyError: 'name'", broken({ contentTemplate: '{name}' }, '(?P<name>go)')],
    ['IndexError: Replacement index 1 out of range for positional args tuple', broken({ argumentTemplate: '{1}' })],
    ["ValueError: Single '}' encountered in format string", broken({ kwargTemplate: '{"k": "}"}' })],
    ["ValueError: unmatched '{' in format spec", broken({ attachmentTemplate: '{"k": "{0:"}' })],
    ["AttributeError: 'NoneType' object has no attribute 'format' (content_template is NULL; '' leaves the text alone)", broken({ contentTemplate: null })],
  ])('%s: is known at once, and takes no part', (reason, one) => {
    const compiled = compileTemplates([one, template('go', { contentTemplate: 'went' })]);
    expect(compiled.problems).toEqual([{ templateId: '7', reason }]);
    expect(applyTemplates(compiled, 'go')).toMatchObject({ content: 'went', args: [], attachment: null });
  });

  test('only for some texts: is said for those, and takes no part in any of its parts', () => {
    const compiled = compileTemplates([broken({ contentTemplate: '{0:>4}', argumentTemplate: 'x', kwargTemplate: '{"k": "v"}' }, '(go)?!')]);
    expect(compiled.problems).toEqual([]);
    expect(applyTemplates(compiled, 'go!')).toMatchObject({ content: '  go', args: ['x'], problems: [] });
    expect(applyTemplates(compiled, '!')).toEqual({
      content: '!',
      args: [],
      kwargs: new Map(),
      attachment: null,
      problems: [{ templateId: '7', reason: 'TypeError: unsupported format string passed to NoneType.__format__' }],
    });
  });

  test('a search that is given up is one', () => {
    const compiled = compileTemplates([broken({ contentTemplate: 'x' }, String.raw`(.+)\1!`)]);
    expect(applyTemplates(compiled, 'a'.repeat(20_000)).problems).toEqual([{ templateId: '7', reason: 'the search took more than 3000000 steps' }]);
  });

  test('texts that templates make ever longer are one', () => {
    const double = Array.from({ length: 40 }, (_, i) => template('(?s)(.+)', { contentTemplate: '{0}{0}' }, String(i)));
    const rendered = applyTemplates(compileTemplates(double), 'a'.repeat(1_000));
    expect(rendered.content.length).toBeLessThanOrEqual(16_000_000);
    expect(rendered.problems.length).toBeGreaterThan(0);
  });

  test('whatever is in the table, nothing is thrown', () => {
    const source = fc.string({ unit: fc.constantFrom(...'()[]{}*+?|\\01a,:!r.'.split('')), maxLength: 8 });
    fc.assert(
      fc.property(source, source, source, source, (search, content, args, value) => {
        const one = template(search, {
          contentTemplate: content,
          argumentTemplate: args,
          kwargTemplate: JSON.stringify({ value }),
        });
        const rendered = apply('a(1)aa', one);
        if (rendered.problems.length > 0) expect(rendered).toMatchObject({ content: 'a(1)aa', args: [], kwargs: {} });
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('JSON as text', () => {
  test('entries are those of JSON.parse, and come back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1), (value, indent) => {
        const json = JSON.stringify(value, null, indent);
        const entries = objectEntries(json) ?? [];
        expect(entries.map(({ key, raw }) => [key, JSON.parse(raw) as unknown])).toEqual(Object.entries(JSON.parse(json) as object));
        expect(entries.every(({ raw, text }) => text === null || text === JSON.parse(raw))).toBe(true);
        expect(JSON.parse(objectText(entries.map(({ key, raw }) => [key, raw])))).toEqual(JSON.parse(json));
      }),
    );
  });

  test('what is not an object has none', () => {
    expect(['[1]', '"{}"', '1', 'null', ' true'].map(objectEntries)).toEqual([null, null, null, null, null]);
    expect(objectEntries(' { } ')).toEqual([]);
  });
});
