/** A row of the application's own table of webhooks. */
export interface AppWebhook {
  readonly id: string;
  readonly endpoint: string | null;
  readonly verified: boolean;
}

/** A row of slackchat_bridge.webhooks, as far as it matters here. */
export interface MirrorRow {
  readonly id: string;
  readonly endpoint: string;
  /** id of the application's row that it mirrors; null: registered by hand */
  readonly sourceId: string | null;
  readonly verified: boolean;
  readonly enabled: boolean;
  readonly disabledReason: string | null;
}

export type MirrorAction =
  | { readonly kind: 'remove'; readonly webhookId: string }
  /** the same row with another address */
  | { readonly kind: 'move'; readonly webhookId: string; readonly sourceId: string; readonly endpoint: string | null; readonly enable: boolean }
  /** the same address in another row of the application's */
  | { readonly kind: 'adopt'; readonly webhookId: string; readonly sourceId: string }
  | { readonly kind: 'enable'; readonly webhookId: string }
  | { readonly kind: 'unverify'; readonly webhookId: string }
  | { readonly kind: 'insert'; readonly sourceId: string; readonly endpoint: string | null };

export interface MirrorPlan {
  /** in the order in which they have to be done */
  readonly actions: readonly MirrorAction[];
  /** webhooks that are challenged anew, one under way is given up */
  readonly challenge: ReadonlySet<string>;
  /** webhooks that are challenged, and stay verified unless that fails */
  readonly doubted: ReadonlySet<string>;
}

/**
 * What makes the bridge's rows what the application's table says. Rows are paired by address first, so that an address that
 * wanders from one row to another keeps what is parked for it, and by id second: then what is parked goes to the new address.
 * A row that was registered by hand is never changed; the application's row of the same address has it as its endpoint. Pure.
 *
 * @param saved rows that someone saved since the last time; false: one of these saves left it unverified
 * @param beginning what was missed is not known: a verification that the two tables do not agree on is made sure of
 */
export function planMirror(app: readonly AppWebhook[], rows: readonly MirrorRow[], saved: ReadonlyMap<string, boolean>, beginning: boolean): MirrorPlan {
  const challenge = new Set<string>();
  const doubted = new Set<string>();
  const removals: MirrorAction[] = [];
  const moves: MirrorAction[] = [];
  const others: MirrorAction[] = [];
  const inserts: MirrorAction[] = [];

  const byEndpoint = new Map(rows.map((row) => [row.endpoint, row]));
  const bySource = new Map(rows.flatMap((row): [string, MirrorRow][] => (row.sourceId === null ? [] : [[row.sourceId, row]])));
  const kept = new Set<string>();
  const homeless: AppWebhook[] = [];
  // A second row of the same address, if the table lets that be, has the first one's endpoint.
  const first = new Map<string, AppWebhook>();
  for (const source of app) {
    const row = source.endpoint === null ? undefined : byEndpoint.get(source.endpoint);
    if (row === undefined) {
      if (source.endpoint === null || !first.has(source.endpoint)) homeless.push(source);
      if (source.endpoint !== null && !first.has(source.endpoint)) first.set(source.endpoint, source);
      continue;
    }
    const unticked = saved.get(source.id) === false;
    if (row.sourceId === null) {
      if (unticked || (beginning && row.verified && !source.verified)) doubted.add(row.id);
      continue;
    }
    if (!kept.has(row.id) && row.sourceId !== source.id) others.push({ kind: 'adopt', webhookId: row.id, sourceId: source.id });
    kept.add(row.id);
    const revived = !row.enabled && row.disabledReason !== null && (isOurs(row.disabledReason) || saved.has(source.id));
    if (revived) others.push({ kind: 'enable', webhookId: row.id });
    const again = unticked || (revived && !isOurs(row.disabledReason));
    if (again) challenge.add(row.id);
    if (again && row.verified) others.push({ kind: 'unverify', webhookId: row.id });
    if (beginning && !again && row.verified && !source.verified) doubted.add(row.id);
  }
  for (const source of homeless) {
    const row = bySource.get(source.id);
    if (row === undefined || kept.has(row.id)) {
      inserts.push({ kind: 'insert', sourceId: source.id, endpoint: source.endpoint });
      continue;
    }
    kept.add(row.id);
    challenge.add(row.id);
    moves.push({ kind: 'move', webhookId: row.id, sourceId: source.id, endpoint: source.endpoint, enable: row.disabledReason !== null });
  }
  for (const row of rows) if (row.sourceId !== null && !kept.has(row.id)) removals.push({ kind: 'remove', webhookId: row.id });
  return { actions: [...removals, ...others, ...moves, ...inserts], challenge, doubted };
}

/** Why the bridge itself disabled a mirrored row, for a time. */
export const MIRROR_OFF = 'APP_WEBHOOKS is off: this endpoint comes from the application\'s own table; set source_id to NULL and enabled to true to keep it';
const UNUSABLE = 'the application\'s row has an endpoint that cannot be used: ';

export function unusable(rule: string): string {
  return UNUSABLE + rule;
}

function isOurs(reason: string | null): boolean {
  return reason !== null && (reason === MIRROR_OFF || reason.startsWith(UNUSABLE));
}
