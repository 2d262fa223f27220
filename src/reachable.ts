import { ConfigurationError, errorMessage, isConfigurationFault, PreconditionError } from './errors.js';
import type { Logger } from './log.js';
import { delay } from './time.js';

/**
 * Does the work as soon as the server lets it: one that is starting or away is waited for.
 * @returns null when the signal came first
 * @throws {PreconditionError | ConfigurationError} for what waiting does not mend
 */
export async function whenReachable<T>(work: () => Promise<T>, log: Logger, signal: AbortSignal): Promise<T | null> {
  for (let pause = 200; !signal.aborted; pause = Math.min(pause * 2, 5_000)) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof PreconditionError || error instanceof ConfigurationError) throw error;
      if (isConfigurationFault(error)) throw new PreconditionError(`the server refuses the connection: ${errorMessage(error)}`);
      log.warn({ reason: errorMessage(error), retryInMs: pause }, 'the database cannot be reached');
      await delay(pause, signal);
    }
  }
  return null;
}
