import { performance } from 'node:perf_hooks';

/** @returns whether the process has had no time to spare since that was asked last */
export function overload(): () => boolean {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization > 0.95;
  };
}
