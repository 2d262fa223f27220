import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson, type Json } from './json.js';

const json = z.custom<Json>((value) => value !== undefined);
/** Numbers come as text that begins with NUL (json.ts). */
const whole = z.string().transform((value) => Number(value.replace('\u0000', '')));

const post = z.looseObject({
  path: z.string(),
  body: json,
  answer: z.looseObject({ status: whole.optional(), close: z.boolean().optional(), body: z.string().optional().catch(undefined) }).default({}),
});

const scenario = z.looseObject({
  name: z.string(),
  time_zone: z.string().default('UTC'),
  media_url: z.string().default(''),
  initial_sql: z.array(z.string()),
  steps: z.array(
    z.looseObject({
      step: whole,
      label: z.string().default(''),
      /** session, SQL */
      statements: z.array(z.tuple([z.string(), z.string()])),
      /** what was committed, in commit order: "INSERT message" */
      transactions: z.array(z.array(z.string())),
      posted: z.array(post),
    }),
  ),
});

/** One recorded run of the application. */
export type Scenario = z.infer<typeof scenario>;
export type Step = Scenario['steps'][number];
/** One request that the application sent, and how it was answered. */
export type Post = z.infer<typeof post>;

export interface Recordings {
  readonly schemaSql: string;
  readonly scenarios: readonly Scenario[];
}

/** @param names as in the file names, or the beginning of one; none: all of them */
export async function loadRecordings(folder: string, names: readonly string[]): Promise<Recordings> {
  const files = (await readdir(join(folder, 'scenarios'))).filter((file) => file.endsWith('.json'));
  const wanted = (file: string): boolean => names.length === 0 || names.some((name) => file === `${name}.json` || file.startsWith(`${name}-`));
  for (const name of names) {
    if (!files.some((file) => file === `${name}.json` || file.startsWith(`${name}-`))) throw new Error(`${folder} has no scenario ${name}`);
  }
  const order = new Intl.Collator('en', { numeric: true });
  const chosen = files.filter(wanted).sort((a, b) => order.compare(a, b));
  if (chosen.length === 0) throw new Error(`${folder} has no scenarios`);
  const scenarios = await Promise.all(
    chosen.map(async (file) => {
      const parsed = scenario.safeParse(parseJson(await readFile(join(folder, 'scenarios', file), 'utf8')));
      if (!parsed.success) throw new Error(`${file} is no recorded scenario: ${z.prettifyError(parsed.error)}`);
      return parsed.data;
    }),
  );
  return { schemaSql: await readFile(join(folder, 'schema.sql'), 'utf8'), scenarios };
}
