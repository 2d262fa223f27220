import { LimitError, PythonError, type Patience } from './python-errors.js';
import { strip } from './python-characters.js';
import { PythonFormat } from './python-format.js';
import { PythonRegex, Subject } from './python-regex.js';
import { objectEntries, objectText } from './raw-json.js';

/** A row of the application's custom content templates; `attachmentTemplate` and `kwargTemplate` are jsonb as text. */
export interface ContentTemplate {
  readonly id: string;
  readonly searchString: string;
  readonly contentTemplate: string | null;
  readonly argumentTemplate: string | null;
  readonly attachmentTemplate: string | null;
  readonly kwargTemplate: string | null;
}

/** Why a template took no part, or will not: with it the application refuses to save messages. */
export interface TemplateProblem {
  readonly templateId: string;
  readonly reason: string;
}

/** What a chat type's templates make of a text. */
export interface Rendered {
  /** without Markdown */
  readonly content: string;
  readonly args: readonly string[];
  /** by key, each value as JSON text; numbers as the database spells them */
  readonly kwargs: ReadonlyMap<string, string>;
  /** one object as JSON text, null where no template gives any of it */
  readonly attachment: string | null;
  readonly problems: readonly TemplateProblem[];
}

/** A format string, or what is wrong with it, which matters once a text comes to it. */
type Part = { readonly format: PythonFormat } | { readonly error: PythonError };
type JsonPart = { readonly key: string } & ({ readonly raw: string } | { readonly part: Part });

const NO_KWARGS: ReadonlyMap<string, string> = new Map();

interface CompiledTemplate {
  readonly id: string;
  readonly regex: PythonRegex;
  /** null: '', which leaves the text alone */
  readonly content: Part | null;
  readonly args: readonly Part[];
  readonly kwargs: readonly JsonPart[];
  readonly attachment: readonly JsonPart[];
}

/** The templates of one chat type, ready to be applied. */
export interface CompiledTemplates {
  readonly templates: readonly CompiledTemplate[];
  /** what is wrong with them whatever the text; at most one for each */
  readonly problems: readonly TemplateProblem[];
}

export function compileTemplates(templates: readonly ContentTemplate[]): CompiledTemplates {
  const compiled: CompiledTemplate[] = [];
  const problems: TemplateProblem[] = [];
  for (const template of templates) {
    try {
      const one = compile(template);
      compiled.push(one);
      const error = firstError(one);
      if (error !== null) problems.push({ templateId: template.id, reason: error.message });
    } catch (error) {
      problems.push({ templateId: template.id, reason: reasonOf(error) });
    }
  }
  return { templates: compiled, problems };
}

function compile(template: ContentTemplate): CompiledTemplate {
  const regex = new PythonRegex(template.searchString);
  const part = (source: string): Part => formatPart(source, regex.groups);
  const json = (source: string | null): readonly JsonPart[] =>
    (source === null ? null : objectEntries(source))?.map(({ key, raw, text }) =>
      text === null ? { key, raw } : { key, part: part(text) },
    ) ?? [];
  return {
    id: template.id,
    regex,
    content: contentPart(template.contentTemplate, part),
    args: argumentSources(template.argumentTemplate).map(part),
    kwargs: json(template.kwargTemplate),
    attachment: json(template.attachmentTemplate),
  };
}

function contentPart(source: string | null, part: (source: string) => Part): Part | null {
  if (source === null) {
    return {
      error: new PythonError(
        'AttributeError',
        "'NoneType' object has no attribute 'format' (content_template is NULL; '' leaves the text alone)",
      ),
    };
  }
  return source === '' ? null : part(source);
}

/** Split at every comma, also at one inside a field. */
function argumentSources(source: string | null): readonly string[] {
  return source === null || source === '' ? [] : source.split(',').map(strip);
}

function formatPart(source: string, groups: number): Part {
  try {
    const format = new PythonFormat(source);
    const error = format.check(groups);
    return error === null ? { format } : { error };
  } catch (error) {
    if (error instanceof PythonError) return { error };
    throw error;
  }
}

function firstError(template: CompiledTemplate): PythonError | null {
  const parts = [
    ...(template.content === null ? [] : [template.content]),
    ...template.args,
    ...[...template.kwargs, ...template.attachment].flatMap((entry) => ('part' in entry ? [entry.part] : [])),
  ];
  for (const part of parts) if ('error' in part) return part.error;
  return null;
}

/**
 * A template takes part if its pattern is found in the text as it was written. Its content replaces the whole text, if the
 * pattern is found in what the templates before it made of that; its args go before those of earlier templates; its
 * kwargs and attachment are laid over theirs. A template that is in error for this text takes no part at all.
 */
export function applyTemplates(compiled: CompiledTemplates, text: string, patience: Patience | null = null): Rendered {
  if (compiled.templates.length === 0) return { content: text, args: [], kwargs: NO_KWARGS, attachment: null, problems: [] };
  const original = new Subject(text);
  const kwargs = new Map<string, string>();
  const attachment = new Map<string, string>();
  const problems: TemplateProblem[] = [];
  let content = original;
  let args: readonly string[] = [];
  for (const template of compiled.templates) {
    try {
      const groups = template.regex.search(original, patience);
      if (groups === null) continue;
      const next = nextContent(template, content, original, groups, patience);
      const ownArgs = template.args.map((part) => render(part, groups));
      const ownKwargs = renderJson(template.kwargs, groups);
      const ownAttachment = renderJson(template.attachment, groups);
      content = next;
      args = [...ownArgs, ...args];
      for (const [key, raw] of ownKwargs) kwargs.set(key, raw);
      for (const [key, raw] of ownAttachment) attachment.set(key, raw);
    } catch (error) {
      problems.push({ templateId: template.id, reason: reasonOf(error) });
    }
  }
  return {
    content: content.text,
    args,
    kwargs,
    attachment: attachment.size === 0 ? null : objectText(attachment),
    problems,
  };
}

function nextContent(
  template: CompiledTemplate,
  running: Subject,
  original: Subject,
  matched: readonly (string | null)[],
  patience: Patience | null,
): Subject {
  if (template.content === null) return running;
  const groups = running === original ? matched : template.regex.search(running, patience);
  return groups === null ? running : new Subject(render(template.content, groups));
}

function render(part: Part, groups: readonly (string | null)[]): string {
  if ('error' in part) throw part.error;
  return part.format.render(groups);
}

function renderJson(
  entries: readonly JsonPart[],
  groups: readonly (string | null)[],
): readonly (readonly [string, string])[] {
  return entries.map((entry) => [entry.key, 'raw' in entry ? entry.raw : JSON.stringify(render(entry.part, groups))]);
}

/** Anything but an error of Python's or a limit is thrown on: impatience, or a fault of the bridge. */
function reasonOf(error: unknown): string {
  if (error instanceof PythonError || error instanceof LimitError) return error.message;
  throw error;
}
