import type { Activity } from './admin/activity.js';
import type { EndpointEvents } from './deliver/endpoint-events.js';
import type { RegistryEvents } from './deliver/registry.js';
import type { Logger } from './log.js';
import { outcomeLabel, type Metrics } from './metrics.js';
import { SaidOnce } from './said-once.js';
import type { ShapeOptions } from './shape/shaper.js';
import type { StallEvents } from './stalls.js';
import type { Webhook } from './types.js';

/** What an endpoint's life causes beside log lines and figures. */
export interface EndpointEffects {
  note(webhook: Webhook, failure: string | null): void;
  gone(webhook: Webhook, reason: string): void;
}

/** One line and one figure for each thing that happens to a delivery; successes are at debug. */
export function endpointEvents(log: Logger, metrics: Metrics, activity: Activity, effects: EndpointEffects): EndpointEvents {
  return {
    attempted(webhook, note, outcome, attempt, ms, committedAt) {
      activity.attempted(webhook.id, note, outcome, attempt, ms, committedAt, Date.now());
      metrics.attempts.add(outcomeLabel(outcome));
      metrics.attemptDuration.add(ms / 1000);
      if (outcome.kind === 'delivered') {
        if (committedAt !== null && attempt === 1) metrics.latency.add(Math.max(0, Date.now() - committedAt) / 1000);
        if (log.isLevelEnabled('debug')) log.debug({ ...about(webhook), id: note.notificationId, attempt, ms: Math.round(ms) }, 'delivered');
        effects.note(webhook, null);
        return;
      }
      log.warn({ ...about(webhook), id: note.notificationId, attempt, status: outcome.status, reason: outcome.reason, ms: Math.round(ms) }, 'attempt failed');
      if (outcome.kind === 'failed') effects.note(webhook, outcome.reason);
    },
    parked(_webhook, count) {
      metrics.parked.inc(count);
    },
    dead(webhook, count) {
      metrics.givenUp.inc(count);
      log.error({ ...about(webhook), count }, 'deliveries given up; they stay in slackchat_bridge.deliveries until they are retried or purged');
    },
    collapsed(_webhook, count) {
      metrics.conflated.inc(count);
    },
    failing(webhook, reason) {
      log.warn({ ...about(webhook), reason }, 'endpoint fails: it is probed, and what is for it is parked');
    },
    recovered(webhook) {
      log.info(about(webhook), 'endpoint works again');
    },
    gone(webhook, reason) {
      effects.gone(webhook, reason);
    },
    storeFault(webhook, reason) {
      log.error({ ...about(webhook), reason }, 'deliveries cannot be parked; they stay in memory and it is tried again');
    },
  };
}

export function registryEvents(log: Logger, metrics: Metrics): RegistryEvents {
  return {
    verified(webhook) {
      metrics.verifications.add('verified');
      log.info(about(webhook), 'endpoint verified');
    },
    refused(webhook, reason, final) {
      metrics.verifications.add('failed');
      log.warn({ ...about(webhook), reason, final }, 'endpoint not verified');
    },
    disabled(webhook, reason, dropped) {
      log.warn({ ...about(webhook), reason, dropped }, 'endpoint disabled');
    },
    fault(webhook, reason) {
      log.error({ ...about(webhook), reason }, 'the result of a verification cannot be stored');
    },
  };
}

const ANOMALIES = {
  no_old_row: 'the WAL does not show what a deleted message was: its table lost its replica identity; run slackchat-bridge setup',
  template_error: 'a custom content template is in error and leaves texts as they are',
  not_rendered: 'the text of a message is too long, or takes too long, to be rendered by templates and Markdown: it is sent as it is',
  unknown_channel: 'a message\'s channel or chat type is not in the database any more: its chat type is sent as null',
} as const;

export function anomalyEvents(log: Logger, metrics: Metrics): ShapeOptions['onAnomaly'] {
  const said = new SaidOnce(1_000);
  return (kind, detail) => {
    metrics.anomalies.add(kind);
    // A template in error is said once, not with every message.
    if (kind === 'template_error' && !said.add(JSON.stringify(detail))) return;
    log.warn({ kind, ...detail }, ANOMALIES[kind]);
  };
}

/** Stalls that nothing else notices. */
export function stallEvents(log: Logger, metrics: Metrics): StallEvents {
  return {
    stalled(kind, reason) {
      metrics.stalls.add(kind);
      log.error({ kind, reason }, STALLED[kind]);
    },
    mended(kind) {
      log.info({ kind }, 'the stall is over');
    },
    unsent(reason) {
      log.warn({ reason }, 'a canary cannot be sent: whether the stream shows what is committed is not known while nothing comes');
    },
  };
}

const STALLED = {
  stream: 'the stream stands still; it is begun again from the slot',
  standstill: 'what has come is not worked off',
} as const;

/** The state of the slot's WAL; that it is reserved is said only after it was not. */
export function slotStatusEvent(log: Logger): (status: string | null, safeBytes: number | null) => void {
  let told = false;
  return (status, safeBytes) => {
    const bytes = safeBytes === Number.POSITIVE_INFINITY ? null : safeBytes;
    if (status === 'extended') log.warn({ safeBytes: bytes }, 'the server keeps more WAL for the slot than max_wal_size');
    else if (status === 'unreserved') log.error({ safeBytes: bytes }, 'the slot is about to be lost: at its next checkpoint the server may remove WAL that it needs (max_slot_wal_keep_size)');
    else if (status === 'lost' || status === 'missing') log.error({ status }, 'the slot is lost');
    else if (told) log.info({ safeBytes: bytes }, 'the WAL that the slot needs is within bounds again');
    told = status !== 'reserved';
  };
}

function about(webhook: Webhook): { readonly webhook: string; readonly endpoint: string } {
  return { webhook: webhook.id, endpoint: withoutQuery(webhook.endpoint) };
}

/** A query may hold a key; a log never shows it. */
export function withoutQuery(endpoint: string): string {
  return endpoint.replace(/[?#].*$/u, '?…');
}
