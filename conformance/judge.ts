import type { Story } from './contract.js';
import { differences, field, isObject, print, printDifferences, text, type Json } from './json.js';
import { payloadReasons } from './payload.js';
import type { Rule } from './rules.js';

export interface MessageCase {
  /** bodies about one message at one endpoint in one step, in order */
  readonly theirs: readonly Json[];
  readonly ours: readonly Json[];
  readonly story: Story | undefined;
  readonly zone: string;
  /** an endpoint of the step broke connections or could not be reached: the application's task ended there */
  readonly endpointFails: boolean;
  /** a child of it was updated at some time, so that the physical order of its children is not that of their ids */
  readonly reordered: boolean;
}

export interface Verdict {
  readonly verdict: 'equal' | 'explained' | 'unexplained';
  readonly rules: readonly Rule[];
  readonly detail: string;
}

/** Compares what the application and the bridge said about one message, and looks for the reason of each difference. */
export function judgeMessage(about: MessageCase): Verdict {
  const { theirs, ours, story } = about;
  const rules = new Set<Rule>();
  const faults: string[] = [];
  const due = story?.kinds ?? [];
  const theirKinds = theirs.map(kindOf);
  const ourKinds = ours.map(kindOf);

  // Without `serialized` nothing has to wait for the application's second transaction, but it may be there already.
  if (ourKinds.join() !== due.join() && ourKinds.join() !== story?.folded.join()) faults.push(`the contract asks for [${due.join(', ')}]`);
  if (theirKinds.join() !== ourKinds.join()) {
    const reasons = kindReasons(about, theirKinds);
    if (reasons === null) faults.push('no documented reason for these notifications');
    else for (const reason of reasons) rules.add(reason);
  }

  const [last, ourLast] = [comparable(theirs.at(-1)), comparable(ours.at(-1))];
  const found = theirs.length === 0 || ours.length === 0 ? [] : differences(last, ourLast);
  const { reasons, rest } = payloadReasons({ ...about, last, ourLast });
  if (found.length > 0) {
    if (rest.length > 0) faults.push('no documented reason for this payload');
    for (const reason of reasons) rules.add(reason);
  }

  if (rules.size === 0 && faults.length === 0) return { verdict: 'equal', rules: [], detail: '' };
  const lines = [`  theirs [${theirKinds.join(', ')}]`, `  ours   [${ourKinds.join(', ')}]`, ...faults.map((fault) => `  ! ${fault}`)];
  if (found.length > 0) lines.push(printDifferences(found));
  else if (theirs.length === 0 || ours.length === 0) lines.push(`    ${theirs.length === 0 ? '+' : '-'} ${print(theirs.at(-1) ?? ours.at(-1))}`);
  return { verdict: faults.length > 0 ? 'unexplained' : 'explained', rules: [...rules], detail: lines.join('\n') };
}

/** Null: nothing that is documented leads from the application's list of notifications to ours. */
function kindReasons({ theirs, ours, story, endpointFails }: MessageCase, theirKinds: readonly string[]): readonly Rule[] | null {
  if (story === undefined) return null;
  const { kinds, folded, moves, transient, cascaded, writes, saved } = story;
  if (theirs.length === 0 && endpointFails) return ['endpoint-isolated'];
  if (theirs.length === 0) return saved ? null : ['silent-write-told'];
  if (ours.length === 0) return transient && theirKinds.includes('message_created') && theirKinds.includes('message_deleted') ? ['net-effect'] : null;
  const reasons: Rule[] = moves > 0 ? ['message-moved'] : [];
  // Never more than the application said, but for the second half of a move.
  const unwaited = ours.length === kinds.length ? kinds.length - folded.length : 0;
  if (unwaited > 0) reasons.push('nothing-waits');
  if (ours.length - theirs.length > moves + unwaited) return null;
  if (transient) reasons.push('net-effect');
  const saves = theirs.length - (ours.length - moves - unwaited);
  if (saves > 0 && theirs.length > writes) return null;
  if (saves > 0) reasons.push(cascaded && kinds.at(-1) === 'message_deleted' ? 'cascade-folded' : 'one-per-transaction');
  return reasons.length === 0 ? null : reasons;
}

export function kindOf(body: Json): string {
  return text(field(body, 'update_type')) ?? text(field(body, 'type')) ?? '(no type)';
}

/** A body as it is compared: the kind is judged by itself, and a channel has two spellings. */
export function comparable(body: Json | undefined): Json | undefined {
  if (!isObject(body)) return body;
  const { update_type: _kind, ...rest } = body;
  const channel = text(rest['channel']);
  return channel === undefined ? rest : { ...rest, channel: channelId(channel) };
}

export function channelId(spelled: string): string {
  const hex = spelled.replaceAll('-', '').toLowerCase();
  return hex.length === 32 ? `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` : spelled;
}
