import type { Lsn } from '../lsn.js';
import type { Webhook } from '../types.js';
import type { Allowance } from './allowance.js';
import type { RetryTiming } from './policy.js';
import type { SenderOptions } from './sender.js';

/** What all endpoints have in common. */
export interface EndpointOptions extends SenderOptions {
  readonly timing: RetryTiming;
  readonly timeoutMs: number;
  /** one for all endpoints */
  readonly allowance: Allowance;
  /** "1/3", where several share the messages; null otherwise */
  readonly shard: string | null;
  /** requests may be begun */
  readonly permit: { readonly holds: (now: number) => boolean };
  /** as much as may be of what waits for it is under way */
  readonly onRun: (endpoint: { readonly live: number; readonly webhook: Webhook }) => void;
  /**
   * It brings once more what was committed before `repeatedBefore`, of which what is before `storedBefore` can have rows;
   * what is from `next` on has not been begun.
   */
  readonly stream: { readonly repeatedBefore: () => Lsn; readonly storedBefore: () => Lsn; readonly next: () => Lsn };
}
