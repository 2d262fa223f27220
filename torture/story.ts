import { commitAt, type History } from './history.js';
import { keyOf, messageOf } from './judge.js';
import type { Violation } from './invariants.js';
import type { Request } from './receiver.js';
import type { Struck } from './faults.js';
import { formatLsn } from '../src/lsn.js';

const NEAR_MS = 3_000;
const LINES = 40;

const KEY = /\d+ (?:message_\w+|channel|\w+_request)(?: message \S+)?(?: channel \S+)?/gu;

/**
 * What led to one violation, as short as it can be: the commits and the requests of the messages that it names (of the
 * channel, where it names none), and the faults near those requests that it names.
 */
export function story(violation: Violation, endpoint: string, requests: readonly Request[], history: History, faults: readonly Struck[]): string {
  const named = new Set(`${violation.key ?? ''} ${violation.detail}`.match(KEY) ?? []);
  const subjects = new Set([...named].flatMap((key) => messageOf(key) ?? []));
  const channel = /channel (?<id>\S+)/u.exec(violation.lane ?? violation.key ?? '')?.groups?.['id'];
  const about = (key: string): boolean => (subjects.size === 0 ? channel !== undefined && key.includes(` channel ${channel}`) : subjects.has(messageOf(key) ?? ''));
  const lines: { readonly time: number; readonly text: string }[] = [];
  const commits = new Set<number>();
  for (const event of history.events) {
    if (!about(event.key) || commits.has(event.commit)) continue;
    commits.add(event.commit);
    const commit = history.commits[event.commit];
    if (commit === undefined) continue;
    const kinds = history.events.filter((one) => one.commit === event.commit && about(one.key)).map((one) => `${one.kind}${one.dispensable ? ' (may stay away)' : ''}`);
    const deed = [...history.ledger.values()].find((one) => one.commit === event.commit)?.deed ?? '?';
    lines.push({ time: commit.time, text: `commit ${event.commit}, xid ${commit.xid}, ends at ${formatLsn(commit.end)} (${deed}): ${kinds.join(', ')}` });
  }
  const times: number[] = [];
  for (const request of requests) {
    const key = keyOf(request, history);
    if (key === null ? request.id !== /webhook-id (?<id>\S+)/u.exec(violation.detail)?.groups?.['id'] : !about(key)) continue;
    if (key === null || named.has(key)) times.push(request.time);
    const { body } = request;
    const shown = body?.message === undefined ? '' : `${(body.message.content ?? '').slice(0, 24)} +${(body.message.reactions?.length ?? 0) + (body.message.attachments?.length ?? 0) + (body.message.args?.length ?? 0) + Object.keys(body.message.kwargs ?? {}).length}`;
    lines.push({ time: request.time, text: `→ ${endpoint} ${request.path} ${request.id} ${body?.update_type ?? body?.type ?? ''} ${shown} [${request.manner}${request.answeredAt === null ? ', not taken' : ''}]` });
  }
  // What is missing never came: then the faults around its commit count.
  const commit = commitOf(violation, history);
  if (commit !== undefined) times.push(commit.time);
  for (const { name, from, to, outcome } of faults) {
    if (times.some((time) => time > from - NEAR_MS && time < (to ?? from) + NEAR_MS)) lines.push({ time: from, text: `⚡ ${name}${outcome === 'struck' ? '' : ` (${outcome})`}${to === null || to - from < 50 ? '' : `, ${to - from} ms`}` });
  }
  lines.sort((a, b) => a.time - b.time);
  const around = commit?.time ?? times.at(-1) ?? 0;
  const nearest = lines.length <= LINES ? lines : lines.toSorted((a, b) => Math.abs(a.time - around) - Math.abs(b.time - around)).slice(0, LINES).toSorted((a, b) => a.time - b.time);
  const head = `${violation.rule.toUpperCase()} at ${endpoint}: ${violation.key ?? 'nothing that was committed'}\n  ${violation.detail}`;
  return [head, ...nearest.map(({ time, text }) => `  ${new Date(time).toISOString().slice(14, 23)} ${text}`)].join('\n');
}

function commitOf({ key, detail }: Violation, history: History): History['commits'][number] | undefined {
  const fromId = /-(?<lsn>[0-9A-F]{16})-/u.exec(detail)?.groups?.['lsn'];
  const index = key === null ? commitAt(history.commits, BigInt(`0x${fromId ?? '0'}`)) : Number.parseInt(key, 10);
  return history.commits[index];
}
