import { AdminServer } from './admin/server.js';
import { isLoopback, type BridgeConfig } from './config.js';
import { errorMessage, PreconditionError } from './errors.js';
import type { Logger } from './log.js';
import type { Observer } from './observer.js';

/**
 * Health, metrics and status over HTTP; null: it is turned off.
 * @throws {PreconditionError} when the port cannot be had
 */
export async function openAdmin(config: BridgeConfig, log: Logger, observer: Observer, page: Parameters<typeof AdminServer.listen>[2]): Promise<AdminServer | null> {
  const { ADMIN_HOST, ADMIN_PORT, ADMIN_TOKEN } = config;
  if (ADMIN_PORT === null) return null;
  try {
    const admin = await AdminServer.listen({ host: ADMIN_HOST, port: ADMIN_PORT, loopback: isLoopback(ADMIN_HOST), token: ADMIN_TOKEN ?? null }, observer, page);
    log.info({ host: ADMIN_HOST, port: admin.port }, 'admin listening');
    return admin;
  } catch (error) {
    throw new PreconditionError(`the admin port cannot be opened (ADMIN_HOST, ADMIN_PORT): ${errorMessage(error)}`);
  }
}
