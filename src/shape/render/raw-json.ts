/** JSON as text: every number stays as it is spelled. What is read here comes from jsonb, so it is well formed. */

export interface RawEntry {
  readonly key: string;
  /** the value as it stands in the text */
  readonly raw: string;
  /** the value where it is a string */
  readonly text: string | null;
}

/** The entries of an object, in order; null where the text is not an object. */
export function objectEntries(json: string): readonly RawEntry[] | null {
  let at = skipSpace(json, 0);
  if (json[at] !== '{') return null;
  const entries: RawEntry[] = [];
  at = skipSpace(json, at + 1);
  while (json[at] === '"') {
    const keyEnd = endOfString(json, at);
    const start = skipSpace(json, json.indexOf(':', keyEnd) + 1);
    const end = endOfValue(json, start);
    const raw = json.slice(start, end);
    entries.push({
      key: parseString(json.slice(at, keyEnd)),
      raw,
      text: raw.startsWith('"') ? parseString(raw) : null,
    });
    at = skipSpace(json, end);
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return entries;
}

/** An object of keys and values that are JSON texts. */
export function objectText(entries: Iterable<readonly [string, string]>): string {
  return `{${Array.from(entries, ([key, raw]) => `${JSON.stringify(key)}:${raw}`).join(',')}}`;
}

function skipSpace(json: string, from: number): number {
  let at = from;
  while (at < json.length && ' \t\n\r'.includes(json[at] ?? '')) at += 1;
  return at;
}

function parseString(json: string): string {
  const text: unknown = JSON.parse(json);
  return String(text);
}

/** One past the closing quote. */
function endOfString(json: string, from: number): number {
  let at = from + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** One past a value of any kind. */
function endOfValue(json: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < json.length) {
    const character = json[at];
    if (character === '"') {
      at = endOfString(json, at);
      if (depth === 0) return at;
      continue;
    }
    if (character === '{' || character === '[') depth += 1;
    if (character === '}' || character === ']') depth -= 1;
    if (depth < 0 || (depth === 0 && (character === ',' || ' \t\n\r'.includes(character ?? '')))) return at;
    at += 1;
    if (depth === 0 && (character === '}' || character === ']')) return at;
  }
  return at;
}
