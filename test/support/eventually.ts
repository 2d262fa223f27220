import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  readonly timeoutMs?: number;
}

/**
 * Repeats `fn` until it no longer throws and returns what it returned; in the end it throws what `fn` threw last.
 * For the state of a database, which announces nothing. Whatever can be waited for (a request, a log line) is waited for.
 */
export async function eventually<T>(fn: () => T | Promise<T>, { timeoutMs = 10_000 }: EventuallyOptions = {}): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await fn();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
    }
    await sleep(10);
  }
}
