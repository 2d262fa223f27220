import type { LiveStatus } from '../events.js';
import { byId, setText } from './dom.js';
import { bytes, duration, whole } from './format.js';
import { slotFault, stateWords } from './words.js';

/** Is it streaming, how far behind is it, what is held. */
export function showHeadline(status: LiveStatus): void {
  showState(stateWords(status));
  setText(byId('slot'), `slot ${status.slot}${status.shard === null ? '' : `, shard ${status.shard}`}`);
  setText(byId('since'), `up for ${duration(status.at - Date.parse(status.since))}`);
  setText(byId('version'), `version ${status.version}`);
  notice('reason', status.reason === null || status.reason === status.state ? null : status.reason);
  notice('database-fault', status.databaseFault === null ? null : `The database does not answer, so endpoints and dead letters are as they were: ${status.databaseFault}`);
  notice('refused', status.refusedRows.length === 0 ? null : `Rows of the application's own table that cannot be endpoints: ${status.refusedRows.map(({ id, rule }) => `${id} (${rule})`).join(', ')}`);
  notice('slot-fault', slotFault(status));
  byId('slot-fault').classList.toggle('mild', status.walStatus === 'extended');
  setText(byId('lag-seconds'), status.lagSeconds === null ? '–' : duration(status.lagSeconds * 1_000));
  setText(byId('lag-bytes'), status.lagBytes === null ? '' : `${bytes(status.lagBytes)} of WAL`);
  setText(byId('retained'), bytes(status.retainedBytes));
  setText(byId('safe'), status.safeBytes === null ? 'without a limit' : `${bytes(status.safeBytes)} left`);
  setText(byId('waiting'), whole(status.waiting));
  setText(byId('dead-count'), whole(status.dead));
  byId('dead-count').classList.toggle('bad', (status.dead ?? 0) > 0);
  setText(byId('in-flight'), whole(status.inFlight));
  setText(byId('in-flight-more'), `${whole(status.unsettledTransactions)} ${status.unsettledTransactions === 1 ? 'transaction' : 'transactions'} open`);
  setText(byId('buffered'), bytes(status.bufferedBytes));
}

/** What is shown beside it is what was known last. */
export function showNoConnection(): void {
  showState({ text: 'unknown', tone: 'disabled' });
}

function showState({ text, tone }: ReturnType<typeof stateWords>): void {
  const state = byId('state');
  state.className = `badge big ${tone}`;
  setText(state, text);
  document.title = `${text} · slackchat-bridge`;
}

function notice(id: string, text: string | null): void {
  const node = byId(id);
  node.hidden = text === null;
  setText(node, text ?? '');
}
