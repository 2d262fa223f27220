import type { Change, Row } from '../types.js';
import type { Effect } from './coalesce.js';

/**
 * CHANNEL_REQUESTS=auto: what the application's CMS and admin ask for by hand, told from the committed
 * changes of channel rows; at most one request for each channel and transaction. Pure.
 */
export function channelRequests(changes: readonly Change[]): readonly Effect[] {
  // What nearly no transaction has.
  if (!changes.some((change) => change.kind === 'row' && change.entity === 'channel')) return [];
  const drafts = new Map<string, { readonly place: number; readonly before: Row | null; after: Row | null }>();
  for (const change of changes) {
    if (change.kind === 'truncate' && change.entities.includes('channel')) drafts.clear();
    if (change.kind !== 'row' || change.entity !== 'channel') continue;
    const id = (change.after ?? change.before)['id'];
    if (typeof id !== 'string') continue;
    const draft = drafts.get(id);
    if (draft === undefined) drafts.set(id, { place: change.index * 2, before: change.before, after: change.after });
    else draft.after = change.after;
  }
  return [...drafts].flatMap(([id, { place, before, after }]) => {
    const request = after === null ? null : requestFor(before, after);
    return request === null ? [] : [{ kind: 'control' as const, place, request: { [request]: id } }];
  });
}

function requestFor(before: Row | null, after: Row): 'request_update' | 'republish' | 'unpublish' | null {
  if (before !== null) {
    // What the WAL leaves out has not changed.
    const changed = Object.entries(after).flatMap(([column, value]) => (value === undefined || value === before[column] ? [] : [column]));
    if (changed.length === 1 && changed[0] === 'live') return 'request_update';
  }
  if (isTrue(after['published'])) return 'republish';
  return isTrue(before?.['published']) ? 'unpublish' : null;
}

function isTrue(value: string | null | undefined): boolean {
  return value?.startsWith('t') === true;
}
