import type { Parking } from './parking.js';

/**
 * The rows of all endpoints, with so many calls at a time, in the order in which they came: whatever else asks the
 * database does not wait behind thousands of endpoints that look for what is due.
 */
export function inTurns(parking: Parking, most: number): Parking {
  const waiting: (() => void)[] = [];
  let free = most;
  const turn = async <T>(call: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => { waiting.push(resolve); });
    try {
      return await call();
    } finally {
      // Handed on: whoever comes in between must not be first.
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
  return {
    park: async (...args) => turn(async () => parking.park(...args)),
    waiting: async (...args) => turn(async () => parking.waiting(...args)),
    due: async (...args) => turn(async () => parking.due(...args)),
    finish: async (...args) => turn(async () => parking.finish(...args)),
    expire: async (...args) => turn(async () => parking.expire(...args)),
    nextDueAt: async (...args) => turn(async () => parking.nextDueAt(...args)),
    lanes: async (...args) => turn(async () => parking.lanes(...args)),
    holding: async (...args) => turn(async () => parking.holding(...args)),
  };
}
