import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NO_CHILDREN, type Children } from '../../src/shape/coalesce.js';
import { serializeMessage, type Names, type RenderedText } from '../../src/shape/message.js';
import type { Row } from '../../src/types.js';
import { attachment, kwarg, message, reaction } from './changes.js';

const names: Names = {
  user: (id) => ({ u1: 'USER1', u2: 'USER2', u3: '' })[id] ?? null,
  argument: (id) => ({ a1: 'first', a2: 'second' })[id] ?? null,
};

const serialized = (row: Row, children: Children, more: Partial<RenderedText> = {}): string =>
  serializeMessage(row, children, names, { content: row['text'] ?? '', args: [], kwargs: new Map(), attachment: null, ...more });

const parsed = (row: Row, children: Children): Readonly<Record<string, unknown>> =>
  z.record(z.string(), z.unknown()).parse(JSON.parse(serialized(row, children)));

test('a message has its keys in the order of the application', () => {
  const row = message('1');
  const children = {
    reaction: [reaction('10', '1'), reaction('11', '1', { argument_id: 'a1' })],
    attachment: [attachment('20', '1')],
    kwarg: [kwarg('30', '1')],
  };
  expect(serialized(row, children)).toBe(
    '{"timestamp":"2018-10-16T17:23:49.000100Z","user":"USER1","content":"text 1",' +
      '"reactions":[{"timestamp":"2018-10-16T17:24:00Z","reaction":"heart","user":"USER1"}],' +
      '"attachments":[{"title":"a title"}],"args":["first"],"kwargs":{"k":"v"}}',
  );
});

test('what is empty is left out', () => {
  expect(Object.keys(parsed(message('1', { text: '' }), NO_CHILDREN))).toEqual(['timestamp', 'user']);
  expect(Object.keys(parsed(message('1', { user_id: 'u3' }), NO_CHILDREN))).toEqual(['timestamp', 'content']);
  expect(Object.keys(parsed(message('1', { user_id: 'nobody', text: '' }), NO_CHILDREN))).toEqual(['timestamp']);
});

test.each([' ', '0', '\n', 'false', 'null', '<b>&amp;</b>', '\u2028'])('a text of %j stays as it is', (text) => {
  expect(parsed(message('1', { text }), NO_CHILDREN)['content']).toBe(text);
});

describe('reactions', () => {
  test('without an argument are listed in full, empty or not', () => {
    const list = [reaction('10', '1', { reaction: '', user_id: 'nobody' }), reaction('11', '1', { user_id: 'u2', timestamp: '2018-10-16 19:24:00.5+02' })];
    expect(JSON.stringify(parsed(message('1'), { ...NO_CHILDREN, reaction: list })['reactions'])).toBe(
      '[{"timestamp":"2018-10-16T17:24:00Z","reaction":"","user":null},{"timestamp":"2018-10-16T19:24:00.500000+02:00","reaction":"heart","user":"USER2"}]',
    );
  });

  test('with an argument are its name, one for each, and are not listed', () => {
    const list = ['a2', 'a1', 'a2'].map((argument_id, index) => reaction(String(index), '1', { argument_id }));
    const got = parsed(message('1'), { ...NO_CHILDREN, reaction: list });
    expect(got['args']).toEqual(['second', 'first', 'second']);
    expect(Object.keys(got)).not.toContain('reactions');
  });
});

/** What a receiver gets of one attachment with these columns. */
function serialize(over: Row): string {
  return JSON.stringify(parsed(message('1'), { ...NO_CHILDREN, attachment: [attachment('20', '1', over)] })['attachments']);
}

describe('attachments', () => {
  test('have their keys in the order of the application, sizes as numbers', () => {
    const all = {
      thumb_height: '9',
      thumb_width: '8',
      thumb_url: 'l',
      video_html_height: '7',
      video_html_width: '6',
      video_html: 'k',
      image_height: '5',
      image_width: '4',
      image_url: 'j',
      service_url: 'i',
      service_icon: 'h',
      service_name: 'g',
      text: 'f',
      title_link: 'e',
      title: 'd',
    };
    expect(serialize(all)).toBe(
      '[{"title":"d","title_link":"e","text":"f","service_name":"g","service_icon":"h","service_url":"i","image_url":"j","image_width":4,"image_height":5,' +
        '"video_html":"k","video_html_width":6,"video_html_height":7,"thumb_url":"l","thumb_width":8,"thumb_height":9}]',
    );
  });

  test('leave out null, the empty text and a size of 0, but no text that looks like one', () => {
    expect(serialize({ title: '0', title_link: null, text: '', image_width: '0', image_height: null, thumb_width: '10', service_name: ' ' })).toBe(
      '[{"title":"0","service_name":" ","thumb_width":10}]',
    );
  });

  test('of nothing but nulls are an empty object, not left out', () => {
    expect(serialize({ title: null })).toBe('[{}]');
  });
});

/** What a receiver reads of kwargs with these keys and values. */
function serializeKwargs(...pairs: readonly (readonly [string, string])[]): unknown {
  const rows = pairs.map(([key, value], index) => kwarg(String(index), '1', { key, value }));
  return JSON.parse(JSON.stringify(parsed(message('1'), { ...NO_CHILDREN, kwarg: rows })['kwargs']));
}

describe('kwargs', () => {
  test('keep empty keys and values', () => {
    expect(serializeKwargs(['', ''], ['a', ''])).toEqual({ '': '', a: '' });
  });

  test('of one key are the last of them', () => {
    expect(serializeKwargs(['a', '1'], ['b', '2'], ['a', '3'])).toEqual({ a: '3', b: '2' });
  });

  test('may have any key, __proto__ too', () => {
    const text = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', 'a'), fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { minLength: 1 }), (pairs) => {
        const made = serializeKwargs(...pairs);
        const found = new Map(typeof made === 'object' && made !== null ? Object.entries(made) : []);
        expect(found).toEqual(new Map(pairs));
      }),
      { examples: [[[['__proto__', 'x']]]] },
    );
  });
});

test("what templates make of the text: their arguments after the reactions', thread kwargs over theirs, their attachment last, every digit kept", () => {
  const children = {
    reaction: [reaction('10', '1', { argument_id: 'a1' })],
    attachment: [attachment('20', '1')],
    kwarg: [kwarg('30', '1', { key: 'k', value: 'thread' })],
  };
  const rendered = {
    content: '<p>text</p>',
    args: ['template'],
    kwargs: new Map([
      ['k', '"template"'],
      ['n', '12345678901234567890'],
    ]),
    attachment: '{"w":1.10}',
  };
  expect(serialized(message('1'), children, rendered)).toContain(
    '"content":"<p>text</p>","attachments":[{"title":"a title"},{"w":1.10}],"args":["first","template"],"kwargs":{"k":"thread","n":12345678901234567890}}',
  );
});
