import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { metricsTable } from './metrics-table.js';
import { settingsTable } from './settings-table.js';

/*
 * Writes those parts of the documentation that follow from the code: between the two comments of the
 * name in a page. `npm run docs`; test/unit/docs.test.ts fails when it was not run.
 */

export interface Generated {
  readonly page: string;
  readonly name: string;
  readonly make: () => Promise<string> | string;
}

export const GENERATED: readonly Generated[] = [
  { page: 'docs/metrics.md', name: 'metrics', make: metricsTable },
  { page: 'docs/configuration.md', name: 'settings', make: settingsTable },
];

const root = join(import.meta.dirname, '..');

/** The page as it is, and as it should be. @throws {Error} when it lacks the comments */
export async function compare({ page, name, make }: Generated): Promise<{ readonly is: string; readonly should: string }> {
  const is = await readFile(join(root, page), 'utf8');
  const begin = `<!-- ${name}: made by npm run docs -->\n`;
  const end = `\n<!-- end of ${name} -->`;
  const from = is.indexOf(begin);
  const to = is.indexOf(end, from);
  if (from === -1 || to === -1) throw new Error(`${page} has no part that begins with ${begin.trim()} and ends with ${end.trim()}`);
  return { is, should: `${is.slice(0, from)}${begin}\n${await make()}\n${is.slice(to)}` };
}

if (process.argv[1] === import.meta.filename) {
  for (const part of GENERATED) await writeFile(join(root, part.page), (await compare(part)).should);
}
