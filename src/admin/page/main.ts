import type { DeadLetter, EndpointView } from '../../status.js';
import type { Attempt, LiveEvents, LiveStatus } from '../events.js';
import { Chart } from './chart.js';
import { Connection } from './connection.js';
import { attemptLine, deadLine, keyOf } from './deliveries.js';
import { byId, List, setText } from './dom.js';
import { endpointCard, type Ask } from './endpoints.js';
import { milliseconds, rate, whole } from './format.js';
import { showHeadline, showNoConnection } from './headline.js';
import { Series } from './series.js';

/** As many as the bridge keeps. */
const ATTEMPTS = 100;
/** So many of each list are shown at first. */
const FIRST = { attempts: 20, dead: 10 };
/** So long it is said what came of a click. */
const SAID_MS = 8_000;
/** A tab that nobody sees for so long lets go of the connection. */
const HIDDEN_MS = 30_000;

const series = new Series();
const charts = { rate: new Chart(byId('rate-chart')), latency: new Chart(byId('latency-chart')) };
let clockAhead = 0;
let endpoints: readonly EndpointView[] = [];
let attempts: readonly Attempt[] = [];
let dead: readonly DeadLetter[] = [];
let paused = false;
const all = { attempts: false, dead: false };

/** By the bridge's clock. */
const now = (): number => Date.now() + clockAhead;
const nameEndpoint = (id: string): string => endpoints.find((endpoint) => endpoint.id === id)?.endpoint.replace(/^https?:\/\//u, '') ?? `endpoint #${id}`;

const ACTIONS: Readonly<Record<Parameters<Ask>[0], string>> = {
  verify: 'a challenge',
  enable: 'enabling',
  resync: 'an update notification about every channel',
  retry_all: 'a retry of all that waits or is dead',
};

const ask: Ask = (kind, endpoint) => {
  if (kind === 'resync') {
    askFirst(`Send an update notification about every channel to ${endpoint.endpoint}?`, () => act(kind, endpoint.id, `${ACTIONS[kind]} for endpoint #${endpoint.id}`));
    return;
  }
  act(kind, endpoint.id, `${ACTIONS[kind]} for endpoint #${endpoint.id}`);
};

let saying: number | undefined;
function say(text: string): void {
  clearTimeout(saying);
  setText(byId('said'), text);
  saying = setTimeout(() => setText(byId('said'), ''), SAID_MS);
}

function act(kind: string, id: string, what: string): void {
  say(`Asking for ${what} …`);
  connection.post(`/api/${kind}/${id}`).then(
    (fault) => say(fault === null ? `Asked for: ${what}` : `Not done: ${fault}`),
    (error: unknown) => say(`Not done: ${String(error)}`),
  );
}

const cards = new List<EndpointView>(byId('endpoint-list'), ({ id }) => id, (endpoint) => endpointCard(endpoint, now, ask));
const letters = new List<DeadLetter>(byId('dead-list'), ({ id }) => id, (letter) => deadLine(letter, nameEndpoint, now, ({ id }) => act('retry', id, `a retry of delivery ${id}`)));
const lines = new List<Attempt>(byId('attempt-list'), keyOf, (attempt) => attemptLine(attempt, nameEndpoint));

const SHOW: { readonly [K in keyof LiveEvents]: (data: LiveEvents[K]) => void } = {
  status(status: LiveStatus) {
    clockAhead = status.at - Date.now();
    showHeadline(status);
  },
  endpoints(told) {
    endpoints = told;
    cards.show(told);
    showAttempts();
    byId('no-endpoints').hidden = told.length > 0;
  },
  dead(told) {
    dead = told;
    showDead();
  },
  spans(told) {
    series.take(told);
    draw();
  },
  attempts(told) {
    const newest = attempts[0]?.seq ?? 0;
    // Another process counts anew.
    const before = (told[0]?.seq ?? 0) <= newest ? [] : attempts;
    attempts = [...told.toReversed(), ...before].slice(0, ATTEMPTS);
    showAttempts();
  },
};

function draw(): void {
  const time = (place: number): string => new Date(series.at(place)).toLocaleTimeString('en-GB');
  const delivered = series.rates('delivered');
  const failed = series.rates('failed');
  const perSecond = (value: number | null): string => `${rate(value ?? 0)}/s`;
  charts.rate.show({
    plots: [{ name: 'delivered', tone: 'good', line: delivered, filled: true }, { name: 'failed', tone: 'poor', line: failed, filled: false }],
    least: 1, value: perSecond, time, minutes: series.minutes,
    summary: `Over ${series.minutes} minutes, now ${perSecond(delivered.at(-1) ?? 0)} delivered and ${perSecond(failed.at(-1) ?? 0)} failed`,
  });
  const p50 = series.latencies('p50');
  const p95 = series.latencies('p95');
  charts.latency.show({
    plots: [{ name: '95 % within', tone: 'wide', line: p95, filled: false }, { name: 'half within', tone: 'good', line: p50, filled: false }],
    least: 10, value: milliseconds, time, minutes: series.minutes,
    summary: `Over ${series.minutes} minutes, at last ${milliseconds(p50.findLast((value) => value !== null) ?? null)} for half of the deliveries and ${milliseconds(p95.findLast((value) => value !== null) ?? null)} for 95 % of them`,
  });
}

/** While a payload is open, or by wish, the list stands still. */
function showAttempts(): void {
  const list = byId('attempt-list');
  const held = paused || list.querySelector('details[open]') !== null;
  const button = byId('pause');
  button.setAttribute('aria-pressed', String(paused));
  byId('no-attempts').hidden = attempts.length > 0;
  const news = attempts.findIndex((attempt) => keyOf(attempt) === list.firstElementChild?.getAttribute('data-key'));
  setText(button, held && news !== 0 && list.childElementCount > 0 ? `Paused, ${whole(news === -1 ? attempts.length : news)} new` : paused ? 'Paused' : 'Pause');
  offerAll('attempts', attempts.length);
  if (held && list.childElementCount > 0) return;
  lines.show(all.attempts ? attempts : attempts.slice(0, FIRST.attempts));
}

function showDead(): void {
  letters.show(all.dead ? dead : dead.slice(0, FIRST.dead));
  byId('no-dead').hidden = dead.length > 0;
  offerAll('dead', dead.length);
}

function offerAll(list: keyof typeof all, length: number): void {
  const button = byId(`all-${list}`);
  button.hidden = all[list] || length <= FIRST[list];
  setText(button, `Show all ${length}`);
}

function askFirst(question: string, go: () => void): void {
  setText(byId('question'), question);
  dialog('confirm').showModal();
  byId('go').onclick = go;
}

function dialog(id: string): HTMLDialogElement {
  const found = byId(id);
  if (!(found instanceof HTMLDialogElement)) throw new Error(`#${id} is no dialog`);
  return found;
}

const connection = new Connection({
  event: (name, data) => SHOW[name](data),
  connected() {
    attempts = [];
    byId('connection').className = 'live';
    setText(byId('connection'), 'live');
  },
  lost(reason) {
    showNoConnection();
    byId('connection').className = 'lost';
    setText(byId('connection'), `connection lost, trying again: ${reason}`);
  },
  tokenWanted(wrong) {
    byId('wrong-token').hidden = !wrong;
    if (!dialog('token').open) dialog('token').showModal();
  },
});

byId('pause').addEventListener('click', () => {
  paused = !paused;
  showAttempts();
});
byId('all-attempts').addEventListener('click', () => {
  all.attempts = true;
  lines.show(attempts);
  showAttempts();
});
byId('all-dead').addEventListener('click', () => {
  all.dead = true;
  showDead();
});
byId('attempt-list').addEventListener('toggle', showAttempts, true);
byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = byId('token-field');
  if (!(field instanceof HTMLInputElement)) return;
  dialog('token').close();
  connection.useToken(field.value);
  field.value = '';
});
let hidden: number | undefined;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(() => connection.close(), HIDDEN_MS);
  else if (!connection.isOpen) connection.open();
});
connection.open();
