import type { LiveStatus } from '../events.js';
import { byId, setText } from './dom.js';
import { bytes, distance, duration, whole } from './format.js';

const STATES: Readonly<Record<string, { readonly text: string; readonly tone: string }>> = {
  streaming: { text: 'streaming', tone: 'well' },
  standby: { text: 'standing by', tone: 'verifying' },
  starting: { text: 'starting', tone: 'verifying' },
  reconnecting: { text: 'not streaming', tone: 'failing' },
  stopping: { text: 'stopping', tone: 'disabled' },
};

/** Is it streaming, how far behind is it, what is held. */
export function showHeadline(status: LiveStatus): void {
  const known = STATES[status.state] ?? { text: status.state, tone: 'disabled' };
  // It streams, and yet nothing moves.
  const { text, tone } = status.state === 'streaming' && status.reason !== null ? { text: 'stalled', tone: 'failing' } : known;
  const state = byId('state');
  state.className = `badge big ${tone}`;
  setText(state, text);
  document.title = `${text} · slackchat-bridge`;
  setText(byId('slot'), `slot ${status.slot}`);
  setText(byId('since'), `up for ${duration(status.at - Date.parse(status.since))}`);
  setText(byId('version'), `version ${status.version}`);
  notice('reason', status.reason === null || status.reason === status.state ? null : status.reason);
  notice('database-fault', status.databaseFault === null ? null : `The database does not answer, so endpoints and dead letters are as they were: ${status.databaseFault}`);
  notice('refused', status.refusedRows.length === 0 ? null : `Rows of the application's own table that cannot be endpoints: ${status.refusedRows.map(({ id, rule }) => `${id} (${rule})`).join(', ')}`);
  const { lagSeconds } = status;
  setText(byId('lag-bytes'), bytes(status.lagBytes));
  setText(byId('lag-seconds'), lagSeconds === null ? '' : `${duration(lagSeconds * 1_000)} behind`);
  setText(byId('waiting'), whole(status.waiting));
  setText(byId('dead-count'), whole(status.dead));
  byId('dead-count').classList.toggle('bad', (status.dead ?? 0) > 0);
  setText(byId('in-flight'), whole(status.inFlight));
  setText(byId('in-flight-more'), `${whole(status.unsettledTransactions)} transactions open`);
  setText(byId('buffered'), bytes(status.bufferedBytes));
}

function notice(id: string, text: string | null): void {
  const node = byId(id);
  node.hidden = text === null;
  setText(node, text ?? '');
}

export function showUpdated(at: number): void {
  setText(byId('updated'), distance(new Date(at).toISOString(), Date.now()));
}
