import { Command } from 'commander';
import { bridgeConfig, databaseConfig, type DatabaseConfig, type Environment } from '../config.js';
import { connectionConfig } from '../database.js';
import type { Check } from '../doctor/check.js';
import { examine, settingsCheck, type Examined } from '../doctor/examine.js';
import { ConfigurationError, PreconditionError } from '../errors.js';
import { slackchatMapping, tableName } from '../mapping.js';
import { TextRenderer } from '../shape/render/text.js';
import { namesOf } from '../setup/names.js';
import { environmentWith, envFileOption } from './environment.js';
import { withProgress } from './progress.js';
import { print } from './table.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check every precondition, and say what mends those that do not hold; changes nothing')
    .option('--json', 'write the result as JSON')
    .addOption(envFileOption())
    .addHelpText('after', '\nExit status: 0 well (warnings count as well), 1 a check failed, 2 wrong configuration.\n\nExample:\n  slackchat-bridge doctor --json | jq \'.checks[] | select(.status != "ok")\'')
    .action(async (options: { readonly json?: boolean; readonly envFile?: string }) => {
      const environment = environmentWith(options.envFile);
      const fault = settingsFault(environment);
      const config = readDatabaseConfig(environment);
      const examined = config === null ? { platform: null, checks: [] } : await examineDatabase(config, environment);
      // What is wrong about the connection was found while it was made.
      const settings = settingsCheck(examined instanceof ConfigurationError ? examined : fault);
      const { platform, checks } = examined instanceof ConfigurationError ? { platform: null, checks: [] } : examined;
      report({ platform, checks: [settings, ...checks] }, options.json === true);
      const failures = [settings, ...checks].filter(({ status }) => status === 'failure').length;
      if (settings.status === 'failure') throw new ConfigurationError('the configuration is not accepted');
      if (failures > 0) throw new PreconditionError(failures === 1 ? 'a check failed' : `${failures} checks failed`);
    });
}

/** A token that only the bridge's own environment has is no fault here. */
function settingsFault(environment: Environment): ConfigurationError | null {
  try {
    bridgeConfig({ ...environment, WEBHOOK_VERIFICATION_TOKEN: environment['WEBHOOK_VERIFICATION_TOKEN'] || 'not looked at' });
    return null;
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
}

function readDatabaseConfig(environment: Environment): DatabaseConfig | null {
  try {
    return databaseConfig(environment);
  } catch (error) {
    if (error instanceof ConfigurationError) return null;
    throw error;
  }
}

async function examineDatabase(config: DatabaseConfig, environment: Environment): Promise<Examined | ConfigurationError> {
  // Also looked at where it is not mirrored.
  const app = config.mapping.tables.get('appWebhook') ?? slackchatMapping(config.SOURCE_SCHEMA, config.TABLE_PREFIX, true).get('appWebhook');
  if (app === undefined) throw new RangeError('the mapping has no table of webhooks');
  const subject = {
    connection: () => connectionConfig(config.environment, 'slackchat-bridge doctor'),
    names: namesOf(config),
    app,
    application: {
      mirrored: config.APP_WEBHOOKS === 'mirror',
      table: tableName(app),
      tokenSet: (environment['WEBHOOK_VERIFICATION_TOKEN'] ?? '') !== '',
      templateFaults: (rows: ConstructorParameters<typeof TextRenderer>[0]) => new TextRenderer(rows, false).problems,
    },
  };
  try {
    return await withProgress('looking at the database', examine(subject));
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
}

function report({ platform, checks }: Examined, json: boolean): void {
  const count = (status: Check['status']): number => checks.filter((check) => check.status === status).length;
  if (json) {
    print(JSON.stringify({ ok: count('failure') === 0, failures: count('failure'), warnings: count('warning'), platform, checks }, null, 2));
    return;
  }
  for (const { name, status, detail, fix } of checks) {
    print(`${status.padEnd(8)} ${name}: ${detail}`);
    if (fix !== null) print(`         → ${fix}`);
  }
  print(`${count('ok')} ok, ${count('warning')} warnings, ${count('failure')} failures`);
}
