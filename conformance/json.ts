/** JSON in which a number is a string that begins with NUL, so that every digit of it is kept and compared. */
export type Json = null | boolean | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export interface Difference {
  readonly path: string;
  /** undefined: not there */
  readonly theirs: Json | undefined;
  readonly ours: Json | undefined;
}

const TOKEN = /"[^"\\]*(?:\\[^][^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gu;

/** @throws {SyntaxError} for what is no JSON */
export function parseJson(source: string): Json {
  const value: unknown = JSON.parse(source.replace(TOKEN, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`)));
  assertJson(value);
  return value;
}

function assertJson(value: unknown): asserts value is Json {
  if (value === undefined) throw new SyntaxError('no JSON');
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function field(value: Json | undefined, key: string): Json | undefined {
  return isObject(value) ? value[key] : undefined;
}

export function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' && !value.startsWith('\u0000') ? value : undefined;
}

/** As it was written, numbers included. */
export function print(value: Json | undefined, indent?: number): string {
  if (value === undefined) return '(not there)';
  return JSON.stringify(value, null, indent).replace(/"\\u0000([^"]*)"/gu, '$1');
}

/**
 * Where two values differ. The order of keys counts, but for what is below one of `unordered` (paths; '' is all of it).
 */
export function differences(theirs: Json | undefined, ours: Json | undefined, unordered: readonly string[] = [], path = ''): readonly Difference[] {
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    return range(Math.max(theirs.length, ours.length)).flatMap((index) => differences(element(theirs, index), element(ours, index), unordered, `${path}[${index}]`));
  }
  if (isObject(theirs) && isObject(ours)) {
    const keys = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])];
    const found = keys.flatMap((key) => differences(theirs[key], ours[key], unordered, path === '' ? key : `${path}.${key}`));
    const ordered = !unordered.some((root) => root === '' || path === root || path.startsWith(`${root}.`) || path.startsWith(`${root}[`));
    if (found.length > 0 || !ordered || Object.keys(theirs).join('\n') === Object.keys(ours).join('\n')) return found;
    return [{ path: `${path} (order of keys)`, theirs: Object.keys(theirs), ours: Object.keys(ours) }];
  }
  return theirs === ours ? [] : [{ path, theirs, ours }];
}

function element(list: Json, index: number): Json | undefined {
  return elements(list)[index];
}

export function elements(list: Json | undefined): readonly Json[] {
  return isList(list) ? list : [];
}

/** Array.isArray does not narrow a read-only array. */
function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

const range = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);

export function same(theirs: Json | undefined, ours: Json | undefined): boolean {
  return differences(theirs, ours).length === 0;
}

/** Lines for a person: what the application has after a minus, what the bridge has after a plus. */
export function printDifferences(found: readonly Difference[]): string {
  const block = (sign: string, value: Json | undefined): string =>
    print(value, 2)
      .split('\n')
      .map((line) => `    ${sign} ${line}`)
      .join('\n');
  return found.map(({ path, theirs, ours }) => `  ${path === '' ? '(all of it)' : path}\n${block('-', theirs)}\n${block('+', ours)}`).join('\n');
}
