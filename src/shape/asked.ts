import type { Effect } from './coalesce.js';
import type { ChannelRequest } from './payload.js';

export type ControlEffect = Extract<Effect, { kind: 'control' }>;

/** Each brings its own deliveries back; all else that is asked for is done once. */
export function concernsEveryShard(effect: Effect): boolean {
  return effect.kind === 'message' || (effect.kind === 'control' && typeof effect.request['retry'] === 'string');
}

export function asksForEveryChannel(effect: Effect): boolean {
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
