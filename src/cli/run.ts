import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { Bridge } from '../bridge.js';
import { bridgeConfig, type BridgeConfig } from '../config.js';
import { Handover } from '../handover.js';
import { createLogger, type Logger } from '../log.js';
import type { Lsn } from '../lsn.js';
import { whenReachable } from '../reachable.js';
import { namesOf } from '../setup/names.js';
import { environmentWith, envFileOption } from './environment.js';
import { setUp } from './setup.js';

export function runCommand(): Command {
  return new Command('run')
    .description('run the bridge')
    .option('--setup', 'first bring the database up to date, as the setup command does')
    .addOption(envFileOption())
    .action(async (options: { readonly setup?: boolean; readonly envFile?: string }) => {
      // The heap is collected when it has doubled, not when it has grown fourfold: a transaction of 200,000
      // rows peaks at 185 MB instead of 262, for no CPU that could be measured.
      setFlagsFromString('--heap-growing-percent=100');
      const config = bridgeConfig(environmentWith(options.envFile));
      const log = createLogger(config.LOG_LEVEL);
      const stop = new AbortController();
      const onSignal = (signal: NodeJS.Signals): void => {
        if (stop.signal.aborted) {
          log.warn({ signal }, 'second signal: ending at once; what was not confirmed is sent again at the next start');
          process.exit(1);
        }
        log.info({ signal }, 'signal received');
        stop.abort();
      };
      process.on('SIGTERM', onSignal);
      process.on('SIGINT', onSignal);
      if (options.setup === true) {
        const setup = { done: (step: string) => log.info({ step }, 'setup'), starting: true };
        await whenReachable(() => setUp(config, setup), log, stop.signal);
      }
      const bridge = await Bridge.open(config, log, stop.signal, {
        prepare: (pool, onWait, signal) => new Handover({ pool, names: namesOf(config), log, onWait, finish: (shard, until) => finish({ ...config, SHARD: shard }, log, until, signal) }).settled(signal),
      });
      if (bridge !== null) await bridge.run(stop.signal);
    });
}

/** Runs as one of those that shared the messages before, up to this position. */
async function finish(config: BridgeConfig, log: Logger, until: Lsn, signal: AbortSignal): Promise<void> {
  const bridge = await Bridge.open({ ...config, ADMIN_PORT: null, CANARY_INTERVAL_MS: 0 }, log, signal, { until });
  await bridge?.run(signal);
}
