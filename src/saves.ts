import { OWN_MARK } from './store/webhooks.js';
import type { Change, Transaction } from './types.js';

/** Rows of endpoints that somebody else saved. */
export interface Saves {
  /** ids in slackchat_bridge.webhooks */
  readonly own: ReadonlySet<string>;
  /** ids in the application's table; false: a save left it unverified, for a moment at least */
  readonly app: ReadonlyMap<string, boolean>;
}

/**
 * What these transactions did to the tables of endpoints; null: nothing that is news.
 * @param shared other instances write to the endpoints' rows all the time, what they found out: that is news and no save
 */
export function savesOf(transactions: readonly Transaction[], shared: boolean): Saves | null {
  if (!transactions.some(({ changes }) => changes.some(isConcerned))) return null;
  const own = new Set<string>();
  const app = new Map<string, boolean>();
  let concerned = false;
  for (const { changes } of transactions) {
    const marks = changes.flatMap((change) => (change.kind === 'control' && isMark(change.content) ? change.content : []));
    for (const change of changes) {
      // What another instance wrote to the bridge's rows is news. What it wrote to the application's is none: it wrote what it knew.
      const news = { webhook: !marks.includes(OWN_MARK), appWebhook: marks.length === 0 };
      if (change.kind === 'truncate') concerned ||= (['webhook', 'appWebhook'] as const).some((entity) => news[entity] && change.entities.includes(entity));
      if (change.kind !== 'row' || (change.entity !== 'webhook' && change.entity !== 'appWebhook') || !news[change.entity]) continue;
      concerned = true;
      if (shared && marks.length > 0) continue;
      const id = (change.after ?? change.before)['id'];
      if (typeof id !== 'string') continue;
      if (change.entity === 'webhook') own.add(id);
      else if (change.after !== null) app.set(id, app.get(id) !== false && change.after['verified'] === 't');
    }
  }
  return concerned ? { own, app } : null;
}

/** What nearly no change is. */
function isConcerned(change: Change): boolean {
  if (change.kind === 'row') return change.entity === 'webhook' || change.entity === 'appWebhook';
  return change.kind === 'truncate' && change.entities.some((entity) => entity === 'webhook' || entity === 'appWebhook');
}

function isMark(content: string): boolean {
  return content.startsWith('{"own":');
}
