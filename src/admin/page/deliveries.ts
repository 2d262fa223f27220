import type { DeadLetter } from '../../status.js';
import type { Attempt } from '../events.js';
import { element, setText, type Shown } from './dom.js';
import { distance, indented, milliseconds, subject } from './format.js';

/** Of an endpoint's id; the id itself once there is no such endpoint any more. */
export type NameEndpoint = (webhookId: string) => string;

/** A request's JSON; its token is put in by the bridge when it is sent, and known to no page. */
function payload(body: string, length: number): HTMLElement {
  const cut = length > body.length ? `\n… (${(length - body.length).toLocaleString('en')} more characters)` : '';
  const shown = body.startsWith('{') ? `{"token":"(hidden)",${body.slice(1)}` : body;
  return element('pre', { tabindex: '0', 'aria-label': 'payload' }, `${indented(shown)}${cut}`);
}

function facts(pairs: readonly (readonly [string, string])[]): HTMLElement {
  return element('dl', { class: 'facts' }, ...pairs.filter(([, value]) => value !== '').flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
}

/** What is inside is made when it is opened. */
function folded(summary: readonly Node[], inside: () => readonly Node[]): HTMLDetailsElement {
  const details = element('details', {}, element('summary', {}, ...summary));
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(element('div', { class: 'inside' }, ...inside()));
  });
  return details;
}

const span = (name: string, text: string): HTMLElement => element('span', { class: name }, text);

/** Of an attempt: the process that counts may be another after a while. */
export const keyOf = ({ seq, at }: Attempt): string => `${at}:${seq}`;

/** One attempt; it does not change any more, but what its endpoint is called may come later. */
export function attemptLine(attempt: Attempt, nameEndpoint: NameEndpoint): Shown<Attempt> {
  const { kind, content } = subject(attempt.body);
  const time = new Date(attempt.at);
  const to = span('to', '');
  const details = folded(
    [
      element('time', { datetime: time.toISOString() }, time.toLocaleTimeString('en-GB')),
      span(`badge ${attempt.kind === 'delivered' ? 'well' : 'failing'}`, attempt.kind),
      span('kind', kind.replaceAll('_', ' ')),
      span('content', content || attempt.reason || ''),
      to,
      span('took', milliseconds(attempt.latencyMs ?? attempt.ms)),
    ],
    () => [
      facts([
        ['endpoint', nameEndpoint(attempt.webhookId)],
        ['webhook-id', attempt.notificationId],
        ['channel', attempt.channelId],
        ['attempt', String(attempt.attempt)],
        ['answer', attempt.status === null ? 'none' : String(attempt.status)],
        ['reason', attempt.reason ?? ''],
        ['request took', milliseconds(attempt.ms)],
        ['since the commit', attempt.latencyMs === null ? '' : milliseconds(attempt.latencyMs)],
      ]),
      payload(attempt.body, attempt.bodyLength),
    ],
  );
  return { node: element('li', { class: 'delivery', 'data-key': keyOf(attempt) }, details), update: () => setText(to, nameEndpoint(attempt.webhookId)) };
}

export function deadLine(first: DeadLetter, nameEndpoint: NameEndpoint, now: () => number, retry: (letter: DeadLetter) => void): Shown<DeadLetter> {
  let shown = first;
  const { kind, content } = subject(first.body);
  const when = span('when', '');
  const reason = span('reason', '');
  const to = span('to', '');
  const details = folded([when, span('kind', kind.replaceAll('_', ' ')), span('content', content), to, reason], () => [
    facts([
      ['delivery', shown.id],
      ['webhook-id', shown.notificationId],
      ['channel', shown.channelId],
      ['attempts', String(shown.attempts)],
      ['last answer', shown.lastStatus === null ? 'none' : String(shown.lastStatus)],
      ['first attempt', shown.firstAttemptAt ?? ''],
      ['last attempt', shown.lastAttemptAt ?? ''],
    ]),
    payload(shown.body, shown.bodyLength),
  ]);
  const button = element('button', { type: 'button', 'aria-label': `Retry: delivery ${first.id}` }, 'Retry');
  button.addEventListener('click', () => retry(shown));
  return {
    node: element('li', { class: 'delivery dead', 'data-id': first.id }, details, button),
    update(letter) {
      shown = letter;
      setText(when, distance(letter.lastAttemptAt, now()));
      setText(to, nameEndpoint(letter.webhookId));
      setText(reason, letter.lastError ?? '');
    },
  };
}
