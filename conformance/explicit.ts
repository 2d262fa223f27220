import type { Client } from 'pg';
import { channelId, comparable } from './judge.js';
import { instant, withInstants } from './instant.js';
import { differences, elements, field, isObject, parseJson, print, printDifferences, text, type Difference, type Json } from './json.js';
import type { Verdict } from './judge.js';
import type { Missing, Rule } from './rules.js';
import type { Step } from './scenario.js';

/** A request that the application sends because a person asked for it; it leaves no trace in the database. */
export interface Request {
  readonly type: string;
  readonly channel: string;
}

const FUNCTIONS: Readonly<Record<string, string>> = { update_notification: 'request_update', republish_request: 'republish', unpublish_request: 'unpublish' };
const MISSING: Readonly<Record<string, Missing>> = { republish_request: 'republish', unpublish_request: 'unpublish' };

export const isExplicit = (body: Json): boolean => text(field(body, 'update_type')) === undefined;

export const requestOf = (body: Json): Request => ({ type: text(field(body, 'type')) ?? '', channel: channelId(text(field(body, 'channel')) ?? '') });

/** The requests of a step: those of the endpoint that got most of them. */
export function requestsOf(step: Step): readonly Request[] {
  const byPath = new Map<string, Request[]>();
  for (const { path, body } of step.posted) {
    const request = requestOf(body);
    if (isExplicit(body) && request.type in FUNCTIONS) byPath.set(path, [...(byPath.get(path) ?? []), request]);
  }
  return [...byPath.values()].sort((a, b) => b.length - a.length)[0] ?? [];
}

/** After how many of the step's statements each request was made: all, unless one and the same is repeated evenly. */
export function placeOf(index: number, requests: readonly Request[], statements: number): number {
  const repeated = requests.every(({ type, channel }) => type === requests[0]?.type && channel === requests[0].channel);
  return repeated && statements % requests.length === 0 ? ((index + 1) * statements) / requests.length : statements;
}

/** Asks the bridge for the same by SQL. @returns false when this version has no such function */
export async function ask(client: Client, { type, channel }: Request): Promise<boolean> {
  const name = `slackchat_bridge.${FUNCTIONS[type] ?? ''}`;
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regprocedure($1) IS NOT NULL AS there', [`${name}(uuid)`]);
  if (rows[0]?.there !== true) return false;
  await client.query(`SELECT ${name}($1::uuid)`, [channel]);
  return true;
}

export const missingOf = (type: string): Missing | null => MISSING[type] ?? null;

export function judgeRequest(theirs: Json, ours: Json, zone: string): Verdict {
  let left = split(theirs);
  let right = split(ours);
  let found: readonly Difference[] = differences(left, right, ['channel_data']);
  const all = found;
  const rules: Rule[] = [];
  for (const [rule, level] of LEVELS) {
    if (found.length === 0) break;
    [left, right] = level(left, right, zone);
    const rest = differences(left, right, ['channel_data']);
    if (rest.length < found.length) rules.push(rule);
    found = rest;
  }
  if (all.length === 0) return { verdict: 'equal', rules: [], detail: '' };
  return { verdict: found.length > 0 ? 'unexplained' : 'explained', rules, detail: printDifferences(all) };
}

/** channel_data as JSON, without the moment at which it was made, which only has to be a timestamp. */
function split(body: Json): Json {
  const compared = comparable(body);
  if (!isObject(compared)) return body;
  const source = text(compared['channel_data']);
  if (source === undefined) return compared;
  const data = parseJson(source);
  if (!isObject(data)) return compared;
  const moment = text(data['timestamp']) ?? '';
  return { ...compared, channel_data: { ...data, timestamp: moment.endsWith('Z') && instant(moment, 'UTC') !== null ? 'a moment in UTC' : moment } };
}

type Level = (theirs: Json, ours: Json, zone: string) => readonly [Json, Json];

const change = (body: Json, key: string, map: (value: Json) => Json): Json => {
  const data = field(body, 'channel_data');
  const value = field(data, key);
  return isObject(body) && isObject(data) && value !== undefined ? { ...body, channel_data: { ...data, [key]: map(value) } } : body;
};

const LEVELS: readonly (readonly [Rule, Level])[] = [
  ['nulls-left-out', (theirs, ours) => [isObject(theirs) && theirs['message'] === null ? Object.fromEntries(Object.entries(theirs).filter(([key]) => key !== 'message')) : theirs, ours]],
  [
    'fields-echoed',
    (theirs, ours, zone) => {
      // The CMS serializes the instance that it saved, before Slack's id of the channel came in.
      const apiId = field(field(theirs, 'channel_data'), 'api_id');
      return [withInstants(theirs, zone) ?? null, change(withInstants(ours, zone) ?? null, 'api_id', (id) => (apiId === null ? null : id))];
    },
  ],
  ['messages-by-timestamp', (theirs, ours) => [change(theirs, 'messages', sorted), change(ours, 'messages', sorted)]],
  [
    'messages-computed',
    (theirs, ours) => {
      const stored = elements(field(field(theirs, 'channel_data'), 'messages'));
      return [theirs, change(ours, 'messages', (messages) => elements(messages).map((message, index) => (stored[index] === null ? null : message)))];
    },
  ],
];

const sorted = (messages: Json): Json => elements(messages).toSorted((a, b) => (print(field(a, 'timestamp')) < print(field(b, 'timestamp')) ? -1 : 1));
