import type { Story } from './contract.js';
import { instant, isInTables, isNormal, withInstants } from './instant.js';
import { differences, elements, field, isObject, parseJson, print, same, text, type Difference, type Json } from './json.js';
import type { Rule } from './rules.js';

export interface PayloadCase {
  readonly theirs: readonly Json[];
  readonly story: Story | undefined;
  readonly zone: string;
  readonly reordered: boolean;
  /** the newest body of each side, without its kind */
  readonly last: Json | undefined;
  readonly ourLast: Json | undefined;
}

/** What a column of a message shows in. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  text: ['content', 'args', 'kwargs', 'attachments'],
  timestamp: ['timestamp'],
  user_id: ['user'],
};

/**
 * Takes out of two payloads what is documented to differ, reason by reason.
 * @returns the reasons that there were, and what is left
 */
export function payloadReasons({ theirs, story, zone, reordered, last, ourLast }: PayloadCase): { readonly reasons: readonly Rule[]; readonly rest: readonly Difference[] } {
  const reasons = new Set<Rule>();
  let rest = differences(last, ourLast);
  let [left, right] = [last, ourLast];

  const spelled = rest.map((difference) => spelling(difference, zone));
  if (spelled.some((reason) => reason !== null) && rest.every(({ path }, index) => !path.endsWith('timestamp') || spelled[index] !== null)) {
    for (const reason of spelled) if (reason !== null) reasons.add(reason);
    [left, right] = [withInstants(left, zone), withInstants(right, zone)];
    rest = differences(left, right);
  }
  if (rest.length > 0 && reordered && same(inOneOrder(left), inOneOrder(right))) {
    reasons.add('children-by-id');
    rest = [];
  }
  if (rest.length > 0 && (isNewer(theirs, story, rest, ourLast) || isSilentlyNewer(theirs, story, rest))) {
    reasons.add('newer-payload');
    rest = [];
  }
  return { reasons: [...reasons], rest };
}

/** Why one instant is spelled in two ways, when the bridge's is the right one for the zone. */
function spelling({ path, theirs, ours }: Difference, zone: string): Rule | null {
  const [given, sent] = [text(theirs), text(ours)];
  if (!path.endsWith('timestamp') || given === undefined || sent === undefined) return null;
  const key = instant(sent, zone);
  if (key === null || key !== instant(given, zone) || !isNormal(sent, zone)) return null;
  if (!isInTables(sent, zone)) return 'zone-tables';
  return isNormal(given, zone) ? null : 'fields-echoed';
}

/** Reactions, attachments and arguments without their order. */
function inOneOrder(body: Json | undefined): Json | undefined {
  const message = field(body, 'message');
  if (!isObject(body) || !isObject(message)) return body;
  const sorted = (value: Json): Json => (Array.isArray(value) ? elements(value).toSorted((a, b) => (print(a) < print(b) ? -1 : 1)) : value);
  return { ...body, message: Object.fromEntries(Object.entries(message).map(([key, value]): [string, Json] => [key, sorted(value)])) };
}

/** Ours is what the application itself stored last, and what it said in another of its requests of this step. */
function isNewer(theirs: readonly Json[], story: Story | undefined, rest: readonly Difference[], ourLast: Json | undefined): boolean {
  const newest = story?.serialized ?? null;
  const ourMessage = field(ourLast, 'message');
  if (newest === null || differences(parseJson(newest), ourMessage, ['']).length > 0) return false;
  return isAboutMessage(rest, []) && theirs.slice(0, -1).some((body) => same(field(body, 'message'), ourMessage));
}

/** The row was written once more without its `serialized`, and only what that changed differs. */
function isSilentlyNewer(theirs: readonly Json[], story: Story | undefined, rest: readonly Difference[]): boolean {
  if (story === undefined || story.rowWrites <= theirs.length) return false;
  const shown = story.silent.flatMap((column) => SHOWN[column] ?? []);
  return shown.length > 0 && isAboutMessage(rest, shown);
}

function isAboutMessage(found: readonly Difference[], keys: readonly string[]): boolean {
  return found.every(({ path }) => {
    const [root, key = ''] = path.split(/[.[ ]/u);
    return root === 'message' && (keys.length === 0 || keys.includes(key));
  });
}
