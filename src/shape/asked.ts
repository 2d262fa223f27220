import type { Effect } from './coalesce.js';
import type { ChannelRequest } from './payload.js';

export type ControlEffect = Extract<Effect, { kind: 'control' }>;

/** A message is to be told once more, as it is by now. */
export interface ReplayEffect {
  readonly kind: 'replay';
  readonly place: number;
  readonly messageId: string;
  /** to these endpoints; null: to all */
  readonly to: readonly string[] | null;
}

/** What of them asks for messages to be told once more is that. */
export function withReplays(effects: readonly Effect[]): readonly (Effect | ReplayEffect)[] {
  return effects.some((effect) => effect.kind === 'control') ? effects.map((effect) => (effect.kind === 'control' ? (replayed(effect) ?? effect) : effect)) : effects;
}

function replayed({ place, request: { replay, to } }: ControlEffect): ReplayEffect | null {
  if (typeof replay !== 'string') return null;
  return { kind: 'replay', place, messageId: replay, to: Array.isArray(to) ? to.map(String) : null };
}

/** Each brings its own deliveries back, knows what was removed of them, and tells its own messages; all else that is asked for is done once. */
export function concernsEveryShard(effect: Effect | ReplayEffect): boolean {
  return effect.kind === 'message' || effect.kind === 'replay' || (effect.kind === 'control' && (typeof effect.request['retry'] === 'string' || typeof effect.request['removed'] === 'string'));
}

export function asksForEveryChannel(effect: Effect | ReplayEffect): boolean {
  return effect.kind === 'truncate' || (effect.kind === 'control' && typeof effect.request['resync'] === 'string');
}

const REQUESTS = [
  ['request_update', 'update_notification'],
  ['republish', 'republish_request'],
  ['unpublish', 'unpublish_request'],
] as const;

/** What is asked for about one channel. */
export function requested(request: ControlEffect['request']): { readonly type: 'update_notification' | ChannelRequest; readonly channelId: string } | null {
  for (const [key, type] of REQUESTS) {
    const channelId = request[key];
    if (typeof channelId === 'string') return { type, channelId };
  }
  return null;
}
