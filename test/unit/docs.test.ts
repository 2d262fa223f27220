import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { compare, GENERATED } from '../../scripts/docs.js';

const root = join(import.meta.dirname, '../..');

test.each(GENERATED)('$page says what the code says: npm run docs brings it up to date', async (part) => {
  const { is, should } = await compare(part);
  expect(is).toBe(should);
});

/** As GitHub makes them of headings. */
function anchors(page: string): Set<string> {
  const headings = [...page.replaceAll(/^```[\s\S]*?^```$/gmu, '').matchAll(/^#+ (.+)$/gmu)];
  return new Set(headings.map(([, text = '']) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').trim().replaceAll(' ', '-')));
}

async function brokenLinks(path: string): Promise<string[]> {
  const text = (await readFile(join(root, path), 'utf8')).replaceAll(/^```[\s\S]*?^```$/gmu, '');
  const broken: string[] = [];
  for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/gu)) {
    if (/^[a-z]+:/u.test(target)) continue;
    const [file = '', anchor] = target.split('#');
    const page = file === '' ? join(root, path) : join(root, dirname(path), file);
    const there = await stat(page).then(() => true, () => false);
    if (!there || (anchor !== undefined && !anchors(await readFile(page, 'utf8')).has(anchor))) broken.push(`${path}: ${target}`);
  }
  return broken;
}

test('every link between the pages leads to a page and a heading that are there', async () => {
  const pages = [...(await readdir(root)), ...(await readdir(join(root, 'docs'))).map((name) => `docs/${name}`)].filter((name) => name.endsWith('.md'));
  expect(pages.length).toBeGreaterThan(10);
  expect((await Promise.all(pages.map(brokenLinks))).flat()).toEqual([]);
});

test.each(['SECURITY.md', 'docs/torture.md'])('the tests that %s names are there', async (page) => {
  const text = await readFile(join(root, page), 'utf8');
  const missing: string[] = [];
  let named = 0;
  for (const [, file = '', names = ''] of text.matchAll(/`(test\/[\w/.-]+\.test\.ts)`(?:: ("[^"]*"(?:, "[^"]*")*))?/gu)) {
    const source = await readFile(join(root, file), 'utf8').catch(() => '');
    if (source === '') missing.push(file);
    for (const [, name = ''] of names.matchAll(/"([^"]*)"/gu)) {
      named += 1;
      // An ellipsis stands for anything.
      const pattern = name.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/gu, '\\$&')).join('.*');
      if (!new RegExp(pattern, 'u').test(source.replaceAll("\\'", "'"))) missing.push(`${file}: ${name}`);
    }
  }
  expect(missing).toEqual([]);
  expect(named).toBeGreaterThan(15);
});
