import type pg from 'pg';
import { BODY_LIMIT, type Activity } from './admin/activity.js';
import { Live } from './admin/live.js';
import type { StatusPage } from './admin/server.js';
import type { Logger } from './log.js';
import type { Status } from './status.js';
import { Overview } from './store/overview.js';
import { Requests } from './store/requests.js';

/** More than these are not shown. */
const ENDPOINTS = 200;
const DEAD = 50;

/** What the status page shows and asks for, from the rooms that have it. */
export function statusPage(pool: pg.Pool, process: { status(): Status }, activity: Activity, log: Logger): StatusPage {
  const overview = new Overview(pool);
  const requests = new Requests(pool);
  return {
    live: new Live({
      status: () => process.status(),
      rows: async () => ({ endpoints: await overview.endpoints(ENDPOINTS), dead: await overview.dead(DEAD, BODY_LIMIT) }),
      activity,
    }),
    perform: async (action) => {
      log.info({ action: action.kind, id: action.id }, 'asked for through the admin port');
      await requests.perform(action);
    },
  };
}
