import { stories, truncates, type Story } from './contract.js';
import { isChallenge, judgeChallenges, type Saves } from './challenges.js';
import { isExplicit, judgeRequest, missingOf, requestOf } from './explicit.js';
import type { Endpoints } from './endpoints.js';
import type { Committed } from './journal.js';
import { judgeMessage, kindOf } from './judge.js';
import { field, print, type Json } from './json.js';
import type { Arrival } from './receiver.js';
import type { Rows } from './rows.js';
import type { Finding } from './rules.js';
import type { Step } from './scenario.js';

export interface Played {
  readonly step: Step;
  readonly transactions: readonly Committed[];
  /** of the application's webhooks, by path, where the bridge mirrors them */
  readonly saves: ReadonlyMap<string, Saves>;
  readonly arrivals: readonly Arrival[];
  readonly endpoints: Endpoints;
  readonly rows: Rows;
  readonly zone: string;
  /** types of requests that this version of the bridge cannot be asked for */
  readonly missing: ReadonlySet<string>;
  /** how many there are: each is told of a TRUNCATE */
  readonly channels: number;
}

/** Holds what came of a step against what the application sent, endpoint by endpoint and message by message. */
export function judgeStep(played: Played): readonly Finding[] {
  const { step, arrivals, endpoints, saves } = played;
  const told = stories(played.transactions);
  const endpointFails = endpoints.unreachable.size > 0 || step.posted.some(({ answer }) => answer.close === true);
  const paths = [...new Set([...endpoints.paths, ...step.posted.map(({ path }) => path), ...arrivals.map(({ path }) => path), ...saves.keys()])];
  return paths.flatMap((path) => {
    const theirAll = step.posted.filter((post) => post.path === path).map(({ body }) => body);
    const ourAll = arrivals.filter((arrival) => arrival.path === path).map(({ body }) => body);
    const challenged = judgeChallenges(theirAll.filter(isChallenge), ourAll.filter(isChallenge), saves.get(path));
    const [theirs, ours] = [theirAll.filter((body) => !isChallenge(body)), ourAll.filter((body) => !isChallenge(body))];
    const findings = [
      ...(challenged === null ? [] : [{ about: 'challenge', ...challenged }]),
      ...messages(played, told, theirs, ours, endpointFails, endpoints.paths.has(path)),
      ...requests(played, theirs.filter(isExplicit), ours.filter(isExplicit), endpoints.paths.has(path)),
    ];
    return findings.map((finding) => ({ ...finding, step: step.step, label: step.label, about: `${path}, ${finding.about}` }));
  });
}

type Part = Omit<Finding, 'step' | 'label'>;

function messages({ rows, zone }: Played, told: ReadonlyMap<string, Story>, theirs: readonly Json[], ours: readonly Json[], endpointFails: boolean, registered: boolean): readonly Part[] {
  const findings: Part[] = [];
  const assigned = new Map<string, { theirs: Json[]; ours: Json[] }>();
  const group = (id: string): { theirs: Json[]; ours: Json[] } => {
    const found = assigned.get(id) ?? { theirs: [], ours: [] };
    assigned.set(id, found);
    return found;
  };
  if (registered) for (const { id, kinds } of told.values()) if (kinds.length > 0) group(id);
  const assign = (side: 'theirs' | 'ours', bodies: readonly Json[]): void => {
    for (const body of bodies) {
      if (isExplicit(body)) continue;
      const id = choose(rows.find(field(body, 'message')), told, kindOf(body));
      if (id === null) findings.push({ about: `${side} about no message of this step`, verdict: 'unexplained', rules: [], detail: `    ${side === 'theirs' ? '-' : '+'} ${print(body)}` });
      else group(id)[side].push(body);
    }
  };
  assign('theirs', theirs);
  assign('ours', ours);
  for (const [id, bodies] of assigned) findings.push({ about: `message ${id}`, ...judgeMessage({ ...bodies, story: told.get(id), zone, endpointFails, reordered: rows.reordered.has(id) }) });
  return findings;
}

/** Several messages can have had one timestamp one after another: then the one that the kind fits. */
function choose(ids: readonly string[], told: ReadonlyMap<string, Story>, kind: string): string | null {
  return ids.find((id) => told.get(id)?.kinds.some((due) => due === kind)) ?? ids[0] ?? null;
}

function requests({ zone, missing, transactions, channels }: Played, theirs: readonly Json[], ours: readonly Json[], registered: boolean): readonly Part[] {
  const findings: Part[] = [];
  const left = [...ours];
  for (const body of theirs) {
    const { type, channel } = requestOf(body);
    const about = `${type} ${channel}`.trim();
    const index = left.findIndex((mine) => requestOf(mine).type === type && requestOf(mine).channel === channel);
    const [mine] = index === -1 ? [] : left.splice(index, 1);
    if (mine !== undefined) findings.push({ about, ...judgeRequest(body, mine, zone) });
    else {
      const lacking = missing.has(type) ? missingOf(type) : null;
      const rest = { about, rules: [], detail: `    - ${print(body)}` };
      findings.push(lacking === null ? { ...rest, verdict: 'unexplained' } : { ...rest, verdict: 'not built', missing: lacking });
    }
  }
  // A TRUNCATE is told to every channel, no oftener and no less often.
  const due = registered ? truncates(transactions) * channels : 0;
  const updates = left.filter((body) => requestOf(body).type === 'update_notification');
  const fits = updates.length === due && left.length === due;
  for (const body of left) findings.push({ about: requestOf(body).type, verdict: fits ? 'explained' : 'unexplained', rules: fits ? ['truncate-told'] : [], detail: `    + ${print(body)}` });
  if (updates.length < due) findings.push({ about: 'TRUNCATE', verdict: 'unexplained', rules: [], detail: `  ${updates.length} of ${due} update notifications` });
  return findings;
}
