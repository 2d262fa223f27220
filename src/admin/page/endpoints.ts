import type { EndpointView } from '../../status.js';
import { element, setText, type Shown } from './dom.js';
import { distance, whole } from './format.js';

export type Ask = (kind: 'verify' | 'enable' | 'resync' | 'retry_all', endpoint: EndpointView) => void;

const STATES: Readonly<Record<EndpointView['state'], string>> = {
  well: 'verified',
  failing: 'failing',
  verifying: 'being verified',
  unverified: 'not verified',
  disabled: 'disabled',
};

/** One endpoint: what it is, why nothing arrives, its figures, what can be done. */
export function endpointCard(first: EndpointView, now: () => number, ask: Ask): Shown<EndpointView> {
  let shown = first;
  const badge = element('span', { class: 'badge' });
  const url = element('span', { class: 'url' });
  const why = element('p', { class: 'why' });
  const filters = element('p', { class: 'filters' });
  const figures = element('dl', { class: 'figures' });
  const figure = (name: string): HTMLElement => {
    const value = element('dd');
    figures.append(element('div', {}, element('dt', {}, name), value));
    return value;
  };
  const values = { waiting: figure('Waiting'), dead: figure('Dead'), underWay: figure('Under way'), success: figure('Last success'), failing: figure('Failing since'), next: figure('Next attempt') };
  const button = (kind: Parameters<Ask>[0], label: string, what: string): HTMLButtonElement => {
    const made = element('button', { type: 'button', 'aria-label': `${label}: ${what} ${first.id}` }, label);
    made.addEventListener('click', () => ask(kind, shown));
    return made;
  };
  const buttons = {
    enable: button('enable', 'Enable', 'endpoint'),
    verify: button('verify', 'Verify', 'challenge endpoint'),
    retry: button('retry_all', 'Retry all', 'what waits and is dead of endpoint'),
    resync: button('resync', 'Resync', 'announce every channel to endpoint'),
  };
  const head = element('h3', {}, badge, ' ', url, ' ', element('span', { class: 'id' }, `#${first.id}`));
  const node = element('li', { class: 'card endpoint', 'data-id': first.id }, element('div', { class: 'what' }, head, why, filters), figures, element('div', { class: 'buttons' }, ...Object.values(buttons)));
  return {
    node,
    update(endpoint) {
      shown = endpoint;
      badge.className = `badge ${endpoint.state}`;
      setText(badge, STATES[endpoint.state]);
      setText(url, endpoint.endpoint);
      why.hidden = endpoint.why === null;
      setText(why, endpoint.why === null ? '' : `${endpoint.why}${endpoint.whyAt === null ? '' : ` (${distance(endpoint.whyAt, now())})`}`);
      const chosen = [
        endpoint.chatTypes === null ? '' : `only chat type ${endpoint.chatTypes.join(', ')}`,
        endpoint.updateTypes === null ? '' : `only ${endpoint.updateTypes.join(', ')}`,
        endpoint.ordering === 'channel' ? 'in order by channel' : '',
      ].filter((part) => part !== '');
      filters.hidden = chosen.length === 0;
      setText(filters, chosen.join('; '));
      setText(values.waiting, whole(endpoint.waiting));
      setText(values.dead, whole(endpoint.dead));
      values.dead.classList.toggle('bad', endpoint.dead > 0);
      setText(values.underWay, whole(endpoint.inFlight));
      setText(values.success, distance(endpoint.lastSuccessAt, now()));
      setText(values.failing, distance(endpoint.failingSince ?? (endpoint.state === 'failing' ? endpoint.waitingSince : null), now()));
      setText(values.next, distance(endpoint.nextAttemptAt, now()));
      buttons.enable.hidden = endpoint.state !== 'disabled';
      buttons.verify.hidden = endpoint.state === 'disabled' || endpoint.state === 'verifying';
      buttons.retry.hidden = endpoint.state === 'disabled' || endpoint.waiting + endpoint.dead === 0;
      buttons.resync.hidden = endpoint.state !== 'well' && endpoint.state !== 'failing';
    },
  };
}
