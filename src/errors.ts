/**
 * Every error that the bridge raises on purpose. Its class decides what happens next:
 * - ConfigurationError: a person has to change something; the process ends with status 2;
 * - PreconditionError: the database is not ready for the bridge; the process ends with status 1;
 * - InstallationError: files of the package are missing; the same;
 * - SlotLostError: the slot is gone or invalid; ON_SLOT_LOST decides;
 * - SlotBusyError: another instance streams from the slot; this one stands by;
 * - NoPrimaryError: of several hosts none takes writes; they are asked again, with backoff;
 * - StreamError: the stream broke; it is begun anew from the slot, with backoff;
 * - TakenOverError: another instance has led meanwhile; what is in memory is forgotten, and the stream begun anew.
 */
export class BridgeError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

export class ConfigurationError extends BridgeError {}
export class PreconditionError extends BridgeError {}
export class InstallationError extends PreconditionError {}
export class SlotLostError extends BridgeError {}
export class SlotBusyError extends BridgeError {}
export class NoPrimaryError extends BridgeError {}
export class StreamError extends BridgeError {}
export class TakenOverError extends BridgeError {}

/** SQLSTATE of a PostgreSQL error, or the code of a system error; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}

export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(errorMessage).join('; ');
  }
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  return String(error);
}

/**
 * What a connection fault means. Authentication, a missing database or a missing role do not mend
 * themselves; everything else (refused, reset, starting up, shutting down) may.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isConfigurationFault(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && (code.startsWith('28') || code === '3D000' || code === '42501');
}
