import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, inject, onTestFinished, test } from 'vitest';
import { Rendering } from '../../src/shape/render/rendering.js';
import { TextRenderer } from '../../src/shape/render/text.js';
import { RenderThread } from '../../src/shape/render/thread.js';

/** The thread runs what was built. */
function thread(deadlineMs = 60_000): RenderThread {
  if (inject('buildError') !== '') throw new Error(inject('buildError'));
  const made = new RenderThread(pathToFileURL(join(import.meta.dirname, '../../dist/shape/render/worker.js')), deadlineMs);
  onTestFinished(() => made.close());
  return made;
}

const template = (searchString: string): Record<string, string> => ({
  id: '1', search_string: searchString, content_template: '{0}!', argument_template: 'first, {0}', kwarg_template: '{"k": "{0}"}', attachment_template: '{"title": 1}',
});
const html = new TextRenderer([], true);
/** So many steps that this thread could not answer for minutes, were there no bound. */
const HOSTILE = '*a _b '.repeat(1_000_000);

test('a thread beside renders as this one does, in order', async () => {
  const beside = thread();
  const renderer = new TextRenderer([template('^(a+)b')], true);
  const texts = ['aab', 'none', '**bold** aab', 'ab'.repeat(3_000)];
  expect(await Promise.all(texts.map(async (text) => beside.render({ ...renderer.rows, text })))).toEqual(texts.map((text) => renderer.render(text)));
});

test('this thread goes on while a hostile text is rendered; past the deadline the text is given up, and the next is rendered', async () => {
  const beside = thread(300);
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 5);
  const [hostile, next] = await Promise.all([beside.render({ ...html.rows, text: HOSTILE }), beside.render({ ...html.rows, text: '*next*' })]);
  clearInterval(timer);
  expect(hostile).toBe(null);
  // Unless the machine is so busy that this too takes longer than the deadline.
  expect([null, '<p><em>next</em></p>']).toContain(next?.content ?? null);
  expect(turns).toBeGreaterThan(5);
});

test('when the process ends, what is not rendered is not told either', async () => {
  const beside = thread();
  const both = Promise.allSettled([beside.render({ ...html.rows, text: HOSTILE }), beside.render({ ...html.rows, text: 'b' })]);
  beside.close();
  for (const result of await both) expect(result).toMatchObject({ status: 'rejected', reason: { message: 'the bridge is stopping' } });
  await expect(beside.render({ ...html.rows, text: 'c' })).rejects.toThrow('the bridge is stopping');
});

test('short texts are rendered here, long ones beside, longer ones than can be sent not at all', async () => {
  const asked: number[] = [];
  const rendering = new Rendering(async ({ text }) => {
    asked.push(text.length);
    return Promise.resolve(null);
  }, 10_000);
  expect(rendering.render(html, '*a*')).toMatchObject({ content: '<p><em>a</em></p>' });
  expect(rendering.render(html, 'a'.repeat(4_000))).not.toBeInstanceOf(Promise);
  expect(asked).toEqual([]);
  await rendering.render(html, 'a'.repeat(4_001));
  await rendering.render(html, 'a'.repeat(10_000));
  expect(asked).toEqual([4_001, 10_000]);
  expect(rendering.render(html, 'a'.repeat(10_001))).toBe(null);
  expect(await rendering.markdown('*a*')).toBe('<p><em>a</em></p>');
});

test('a chat type whose pattern took long is rendered beside for a while', () => {
  let asked = 0;
  const rendering = new Rendering(async () => {
    asked += 1;
    return Promise.resolve(null);
  }, 10_000);
  // Each search alone is quick enough, all together are not.
  const slow = new TextRenderer(Array.from({ length: 40 }, () => template('((?:ab?){1,100}){1,100}c')), false);
  expect(rendering.render(slow, 'aab')).not.toBeInstanceOf(Promise);
  expect(rendering.render(slow, 'a'.repeat(400))).toBeInstanceOf(Promise);
  expect(rendering.render(slow, 'aab')).toBeInstanceOf(Promise);
  expect(asked).toBe(2);
  expect(rendering.render(new TextRenderer([], true), 'a')).not.toBeInstanceOf(Promise);
});
