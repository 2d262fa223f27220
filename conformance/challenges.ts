import type { Client } from 'pg';
import { isObject, field, print, text, type Json } from './json.js';
import type { Committed } from './journal.js';
import type { Verdict } from './judge.js';

export const isChallenge = (body: Json): boolean => text(field(body, 'type')) === 'url_verification';

/** Of one endpoint in one step. */
export interface Saves {
  /** after which the contract wants a challenge: new, another address, left unverified */
  due: number;
  all: number;
}

/** The application's table of webhooks, from its commits alone. */
export class AppWebhooks {
  readonly #endpoints = new Map<string, string>();

  async load(client: Client): Promise<void> {
    const { rows } = await client.query<{ id: string; endpoint: string }>('SELECT id::text, endpoint FROM slackchat_webhook');
    for (const { id, endpoint } of rows) this.#endpoints.set(id, endpoint);
  }

  /** What the transactions of a step saved, by path. */
  apply(transactions: readonly Committed[]): ReadonlyMap<string, Saves> {
    const saves = new Map<string, Saves>();
    for (const writes of transactions) {
      const touched = new Map<string, boolean>();
      for (const { op, table, before, after } of writes) {
        if (table !== 'webhook') continue;
        const id = (after ?? before)?.['id'] ?? '';
        if (after === null) {
          this.#endpoints.delete(id);
          touched.delete(id);
          continue;
        }
        const endpoint = after['endpoint'] ?? '';
        const due = op === 'INSERT' || endpoint !== this.#endpoints.get(id) || after['verified'] !== 'true';
        this.#endpoints.set(id, endpoint);
        touched.set(id, due || touched.get(id) === true);
      }
      for (const [id, due] of touched) {
        const path = pathOf(this.#endpoints.get(id) ?? '');
        const counted = saves.get(path) ?? { due: 0, all: 0 };
        saves.set(path, { due: counted.due + (due ? 1 : 0), all: counted.all + 1 });
      }
    }
    return saves;
  }
}

/** Challenges of one endpoint in one step; null: neither side sent one, and none was due. */
export function judgeChallenges(theirs: readonly Json[], ours: readonly Json[], saves: Saves | undefined): Verdict | null {
  const { due, all } = saves ?? { due: 0, all: 0 };
  if (theirs.length === 0 && ours.length === 0 && due === 0) return null;
  const faults = ours.flatMap((body) => malformed(body, theirs[0]) ?? []);
  if (due > 0 && ours.length === 0) faults.push('the contract asks for a challenge');
  if (due === 0 && ours.length > 0) faults.push('the contract asks for no challenge');
  if (ours.length > Math.max(all, theirs.length)) faults.push(`${all} saves`);
  if (theirs.length > ours.length) faults.push('the application sent more');
  const detail = [`  theirs ${theirs.length}`, `  ours   ${ours.length}`, ...faults.map((fault) => `  ! ${fault}`), ...ours.map((body) => `    + ${print(body)}`)].join('\n');
  if (faults.length > 0) return { verdict: 'unexplained', rules: [], detail };
  return ours.length > theirs.length ? { verdict: 'explained', rules: ['challenged-anew'], detail } : { verdict: 'equal', rules: [], detail: '' };
}

/** The same keys in the same order, the same token, and at least 128 bits that nobody can guess. */
function malformed(ours: Json, theirs: Json | undefined): string | null {
  if (!isObject(ours)) return 'not an object';
  if (Object.keys(ours).join() !== 'token,type,challenge') return `keys ${Object.keys(ours).join()}`;
  if (theirs !== undefined && text(field(theirs, 'token')) !== text(ours['token'])) return 'another token';
  return /^[0-9a-f]{32,}$/u.test(text(ours['challenge']) ?? '') ? null : 'a challenge of less than 128 bits';
}

export function pathOf(endpoint: string): string {
  if (!URL.canParse(endpoint)) return endpoint;
  const url = new URL(endpoint);
  return `${url.pathname}${url.search}`;
}
