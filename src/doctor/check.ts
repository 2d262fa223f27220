export type Status = 'ok' | 'warning' | 'failure';

/** One precondition, and what mends it. */
export interface Check {
  readonly name: string;
  readonly status: Status;
  readonly detail: string;
  /** SQL, a setting or a command; null where there is nothing to mend */
  readonly fix: string | null;
}

/** What was asked of the server, or why it would not say. */
export type Fact<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

export const ok = (name: string, detail: string): Check => ({ name, status: 'ok', detail, fix: null });
export const warning = (name: string, detail: string, fix: string | null): Check => ({ name, status: 'warning', detail, fix });
export const failure = (name: string, detail: string, fix: string | null): Check => ({ name, status: 'failure', detail, fix });

/** A check that the role may not make. */
export const unseen = (name: string, why: string, fix: string | null): Check => ({ name, status: 'warning', detail: `not checked: ${why}`, fix });

export function megabytes(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} kB` : `${Math.round(bytes / 1024 / 1024)} MB`;
}

/** "a", "a and 2 more" */
export function someOf(all: readonly string[], limit = 5): string {
  return all.length <= limit ? all.join(', ') : `${all.slice(0, limit).join(', ')} and ${all.length - limit} more`;
}
