import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { differences, isObject, parseJson, print, printDifferences, type Json } from './json.js';

const json = z.custom<Json>((value) => value !== undefined);
const template = z.looseObject({ search_string: z.string(), content_template: z.string().nullable(), argument_template: z.string().nullable(), attachment_template: json, kwarg_template: json });
const entry = z.looseObject({
  id: z.string().transform((id) => id.replace('\u0000', '')),
  category: z.string(),
  text: z.string(),
  templates: z.array(template),
  render_to_html: z.boolean(),
  /** null where the application fails */
  content: z.string().nullable(),
  args: json,
  kwargs: json,
  attachments: json,
  errors: json.optional(),
});
type Entry = z.infer<typeof entry>;

/** What the project's modules have to offer, by name; null while a module is not there. */
interface Renderer {
  readonly templates: { readonly compile: (templates: readonly unknown[]) => unknown; readonly apply: (compiled: unknown, text: string) => unknown } | null;
  readonly markdown: ((text: string) => unknown) | null;
}

const rendered = z.object({ content: z.string(), args: z.array(z.string()), kwargs: z.map(z.string(), z.string()), attachment: z.string().nullable(), problems: z.array(z.unknown()) });
const compiledProblems = z.object({ problems: z.array(z.unknown()) });

const REQUIRED_SHARE = 0.97;

/** Compares what the bridge makes of each text with what the application made. @returns whether enough are identical */
export async function runCorpus(file: string, write: (line: string) => void): Promise<boolean> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  const entries = lines.map((line) => entry.parse(parseJson(line)));
  const renderer = await loadRenderer();
  if (renderer.templates === null) write('src/shape/render/templates is not there: texts stay as they are');
  if (renderer.markdown === null) write('src/shape/render/markdown is not there: texts stay as they are');
  const identical = entries.filter((one) => {
    const found = compare(one, renderer);
    if (found !== '') write(`${one.id} (${one.category}) ${JSON.stringify(one.text).slice(0, 200)}\n${found}\n`);
    return found === '';
  });
  const share = (name: string, wanted: (one: Entry) => boolean): number => {
    const [all, same] = [entries.filter(wanted).length, identical.filter(wanted).length];
    write(`${name.padEnd(9)} ${same} of ${all} identical, ${all === 0 ? '-' : ((same / all) * 100).toFixed(1)} %`);
    return all === 0 ? 1 : same / all;
  };
  share('Markdown', ({ render_to_html: html }) => html);
  share('others', ({ render_to_html: html }) => !html);
  return share('all', () => true) >= REQUIRED_SHARE;
}

/** @returns the differences for a person, or nothing */
function compare(one: Entry, { templates, markdown }: Renderer): string {
  const texts = one.templates.map(({ search_string: searchString, content_template: contentTemplate, argument_template: argumentTemplate, ...rest }, index) => ({
    id: String(index + 1),
    searchString,
    contentTemplate,
    argumentTemplate,
    attachmentTemplate: jsonb(rest.attachment_template),
    kwargTemplate: jsonb(rest.kwarg_template),
  }));
  const compiled = templates?.compile(texts);
  const result = templates === null ? { content: one.text, args: [], kwargs: new Map<string, string>(), attachment: null, problems: [] } : rendered.parse(templates.apply(compiled, one.text));
  if (one.errors !== undefined) {
    // The application refuses to save: the bridge has to say so.
    const said = templates !== null && (result.problems.length > 0 || compiledProblems.parse(compiled).problems.length > 0);
    if (!said) return `  the application fails: ${print(one.errors)}\n  the bridge says nothing`;
    const left = one.templates.length > 1 || (result.content === one.text && result.args.length + result.kwargs.size === 0 && result.attachment === null);
    return left ? '' : `  the application fails: ${print(one.errors)}\n  the bridge does not leave the text as it is: ${JSON.stringify(result.content)}`;
  }
  const ours = {
    content: one.render_to_html && markdown !== null ? z.string().parse(markdown(result.content)) : result.content,
    args: result.args,
    kwargs: Object.fromEntries([...result.kwargs].map(([key, value]): [string, Json] => [key, parseJson(value)])),
    attachments: result.attachment === null ? [] : [parseJson(result.attachment)],
  };
  return printDifferences(differences({ content: one.content, args: one.args, kwargs: one.kwargs, attachments: one.attachments }, ours));
}

/** As PostgreSQL prints it: the keys of an object by length, then by their bytes. */
function jsonb(value: Json): string | null {
  return value === null ? null : print(inJsonbOrder(value));
}

function inJsonbOrder(value: Json): Json {
  if (!isObject(value)) return value;
  const bytes = (key: string): Buffer => Buffer.from(key);
  const entries = Object.entries(value).sort(([a], [b]) => bytes(a).length - bytes(b).length || Buffer.compare(bytes(a), bytes(b)));
  return Object.fromEntries(entries.map(([key, inner]): [string, Json] => [key, inJsonbOrder(inner)]));
}

async function loadRenderer(): Promise<Renderer> {
  const [compile, apply, markdown] = await Promise.all([load('templates', 'compileTemplates'), load('templates', 'applyTemplates'), load('markdown', 'renderMarkdown')]);
  return { templates: compile === null || apply === null ? null : { compile, apply }, markdown };
}

/** A function of a render module of the project. */
async function load(module: string, name: string): Promise<((...args: readonly unknown[]) => unknown) | null> {
  const url = new URL(`../src/shape/render/${module}.ts`, import.meta.url);
  const there = await access(fileURLToPath(url)).then(() => true, () => false);
  if (!there) return null;
  const loaded: unknown = await import(url.href);
  const value: unknown = typeof loaded === 'object' && loaded !== null ? Reflect.get(loaded, name) : undefined;
  return isFunction(value) ? value : null;
}

function isFunction(value: unknown): value is (...args: readonly unknown[]) => unknown {
  return typeof value === 'function';
}
