/** What the running process knows of one endpoint. Times are ISO 8601. */
export interface EndpointStatus {
  readonly id: string;
  /** without its query */
  readonly endpoint: string;
  readonly enabled: boolean;
  readonly verified: boolean;
  /** it is being challenged */
  readonly verifying: boolean;
  /** only probed, because it failed as a whole */
  readonly failing: boolean;
  readonly inFlight: number;
  /** waiting in memory */
  readonly queued: number;
  readonly waiting: number;
  readonly dead: number;
  /** since this process began; null: none since */
  readonly lastSuccessAt: string | null;
  /** its first failure since its last success */
  readonly failingSince: string | null;
  readonly nextProbeAt: string | null;
}

/** An endpoint's row with what waits for it. Times are ISO 8601. */
export interface EndpointRow {
  readonly id: string;
  /** without its query */
  readonly endpoint: string;
  readonly enabled: boolean;
  readonly verified: boolean;
  readonly verifiedAt: string | null;
  readonly chatTypes: readonly string[] | null;
  readonly updateTypes: readonly string[] | null;
  readonly ordering: string;
  readonly disabledReason: string | null;
  readonly lastError: string | null;
  readonly lastErrorAt: string | null;
  readonly waiting: number;
  readonly dead: number;
  readonly nextAttemptAt: string | null;
  /** since when the oldest delivery waits */
  readonly waitingSince: string | null;
}

export type EndpointState = 'well' | 'failing' | 'verifying' | 'unverified' | 'disabled';

/** An endpoint as a person sees it. */
export interface EndpointView extends Omit<EndpointRow, 'disabledReason' | 'lastError' | 'lastErrorAt'> {
  readonly state: EndpointState;
  /** why nothing arrives, or what failed last; null: nothing is wrong */
  readonly why: string | null;
  readonly whyAt: string | null;
  /** null: not known without the process that streams */
  readonly inFlight: number | null;
  readonly queued: number | null;
  readonly lastSuccessAt: string | null;
  readonly failingSince: string | null;
}

/** @param live null: not known, because the process that streams is another or cannot be asked */
export function viewEndpoint(row: EndpointRow, live: EndpointStatus | null): EndpointView {
  const { disabledReason, lastError, lastErrorAt, ...shown } = row;
  const state = stateOf(row, live);
  return {
    ...shown,
    state,
    why: state === 'disabled' ? (disabledReason ?? 'enabled is false') : (lastError ?? (state === 'unverified' ? 'it was not challenged yet' : null)),
    whyAt: lastErrorAt,
    inFlight: live?.inFlight ?? null,
    queued: live?.queued ?? null,
    lastSuccessAt: live?.lastSuccessAt ?? null,
    failingSince: live?.failingSince ?? null,
    nextAttemptAt: later(row.nextAttemptAt, live?.nextProbeAt ?? null),
  };
}

function stateOf(row: EndpointRow, live: EndpointStatus | null): EndpointState {
  if (!row.enabled) return 'disabled';
  if (!row.verified) return live?.verifying === true ? 'verifying' : 'unverified';
  // Without the process: something waits, and the row says what failed.
  return (live === null ? row.waiting > 0 && row.lastError !== null : live.failing) ? 'failing' : 'well';
}

/** An endpoint that fails as a whole is tried when its next probe is due, whatever its rows say. */
function later(attempt: string | null, probe: string | null): string | null {
  if (attempt === null || probe === null) return attempt;
  return Date.parse(attempt) > Date.parse(probe) ? attempt : probe;
}

/** A delivery that was given up. Times are ISO 8601. */
export interface DeadLetter {
  readonly id: string;
  readonly webhookId: string;
  readonly notificationId: string;
  readonly channelId: string;
  readonly attempts: number;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly firstAttemptAt: string | null;
  readonly lastAttemptAt: string | null;
  /** the beginning of the request's JSON, which holds no token */
  readonly body: string;
  /** characters of all of it */
  readonly bodyLength: number;
}

/** The slot as the server has it. */
export interface SlotRow {
  readonly active: boolean;
  readonly walStatus: string | null;
  readonly lagBytes: number | null;
  readonly keptBytes: number | null;
  /** WAL until the slot is lost; null: without a limit */
  readonly safeBytes: number | null;
}

/** What /api/status gives. Times are ISO 8601. */
export interface Status {
  readonly version: string;
  readonly state: string;
  /** why it is not ready; null: it is */
  readonly reason: string | null;
  readonly since: string;
  readonly slot: string;
  /** "2/3": which of those that share the messages; null: it has all of them */
  readonly shard: string | null;
  readonly receivedLsn: string | null;
  readonly confirmedLsn: string | null;
  readonly lagBytes: number | null;
  /** for how long WAL has waited to be confirmed; 0: all is; null: another instance streams */
  readonly lagSeconds: number | null;
  /** pg_replication_slots.wal_status; 'missing': there is no slot; null: not looked at yet */
  readonly walStatus: string | null;
  /** WAL that the server keeps for the slot */
  readonly retainedBytes: number | null;
  /** WAL until the slot is lost; null: without a limit, or not looked at yet */
  readonly safeBytes: number | null;
  readonly bufferedBytes: number;
  readonly unsettledTransactions: number;
  readonly endpoints: readonly EndpointStatus[];
  /** rows of the application's table that cannot be endpoints, and the rule that they break */
  readonly refusedRows: readonly { readonly id: string; readonly rule: string }[];
}
