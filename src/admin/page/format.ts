/* Figures and times in words. Pure, so that they are tested without a browser. */

const UNKNOWN = '–';

export function bytes(count: number | null): string {
  if (count === null) return UNKNOWN;
  if (count < 1024) return `${Math.max(0, Math.round(count))} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const place = Math.min(units.length, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** place;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[place - 1] ?? ''}`;
}

export function whole(count: number | null): string {
  return count === null ? UNKNOWN : count.toLocaleString('en');
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  if (ms < 10) return `${Math.round(ms * 10) / 10} ms`;
  return ms < 1_000 ? `${Math.round(ms)} ms` : duration(ms);
}

export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 100) return `${Math.round(minutes)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} d`;
}

export function rate(perSecond: number): string {
  if (perSecond === 0) return '0';
  return perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en');
}

/** "12 s ago", "in 3 min" */
export function distance(time: string | null, now: number): string {
  if (time === null) return UNKNOWN;
  const ms = Date.parse(time) - now;
  if (ms > 500) return `in ${duration(ms)}`;
  return ms > -1_000 ? 'now' : `${duration(-ms)} ago`;
}

/** What a request's JSON is about, from its beginning: it may be cut. */
export function subject(body: string): { readonly kind: string; readonly content: string } {
  const field = (name: string): string => {
    const raw = new RegExp(`"${name}":"((?:[^"\\\\]|\\\\.)*)`, 'u').exec(body)?.[1] ?? '';
    try {
      return String(JSON.parse(`"${raw}"`));
    } catch {
      return raw;
    }
  };
  return { kind: field('update_type') || field('type'), content: field('content') };
}

/**
 * JSON with line breaks and indentation. It is not parsed, so that every digit stays as it is sent, and
 * what is cut is shown as far as it goes.
 */
export function indented(json: string): string {
  let depth = 0;
  let text = '';
  const line = (): string => `\n${'  '.repeat(depth)}`;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"?|[[{][\]}]|[[\]{},:]|[^[\]{},:"\s]+/gu)) {
    if (token === '{' || token === '[') {
      depth += 1;
      text += token + line();
    } else if (token === '}' || token === ']') {
      depth = Math.max(0, depth - 1);
      text += line() + token;
    } else if (token === ',') text += token + line();
    else text += token === ':' ? ': ' : token;
  }
  return text;
}
