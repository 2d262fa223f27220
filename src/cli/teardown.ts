import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { databaseConfig } from '../config.js';
import { connectionConfig } from '../database.js';
import { ConfigurationError } from '../errors.js';
import { applyStep, openSetupSession } from '../setup/apply.js';
import { inspect } from '../setup/inspect.js';
import { namesOf } from '../setup/names.js';
import { planTeardown } from '../setup/plan.js';
import { environmentWith, envFileOption } from './environment.js';
import { withProgress } from './progress.js';

export function teardownCommand(): Command {
  return new Command('teardown')
    .description('drop slot, publication and schema, and put the replica identities back')
    .option('--yes', 'do not ask')
    .addOption(envFileOption())
    .action(async (options: { readonly yes?: boolean; readonly envFile?: string }) => {
      const config = databaseConfig(environmentWith(options.envFile));
      const names = namesOf(config);
      const session = await openSetupSession(await connectionConfig(config.environment, 'slackchat-bridge teardown'));
      try {
        const state = await inspect(session.client, names);
        const steps = planTeardown(state, names);
        if (steps.length === 0) {
          process.stdout.write('nothing to do: there is nothing of the bridge in this database\n');
          return;
        }
        if (options.yes !== true) await confirm(state.database, steps.map((step) => step.title));
        for (const step of steps) {
          await withProgress(step.title, applyStep(session.client, step));
          process.stdout.write(`done: ${step.title}\n`);
        }
      } finally {
        await session.close();
      }
    });
}

async function confirm(database: string, titles: readonly string[]): Promise<void> {
  const what = `This removes from database "${database}", with the registered endpoints and all parked deliveries:\n${titles.map((title) => `  - ${title}`).join('\n')}\n`;
  if (!process.stdin.isTTY) throw new ConfigurationError(`${what}Nothing was done: give --yes to do it without being asked`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`${what}Go on? [y/N] `);
  terminal.close();
  if (!/^y(es)?$/iu.test(answer.trim())) throw new ConfigurationError('nothing was done');
}
