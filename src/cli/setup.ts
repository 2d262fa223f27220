import { Command } from 'commander';
import { databaseConfig, type DatabaseConfig } from '../config.js';
import { connectionConfig } from '../database.js';
import { applyStep, openSetupSession, printStep } from '../setup/apply.js';
import { inspect } from '../setup/inspect.js';
import { refuseLayout } from '../setup/layout.js';
import { namesOf } from '../setup/names.js';
import { planGrants, planSetup } from '../setup/plan.js';
import { environmentWith, envFileOption } from './environment.js';
import { withProgress } from './progress.js';

interface Options {
  readonly print?: boolean;
  readonly grant?: string;
  readonly envFile?: string;
}

export function setupCommand(): Command {
  return new Command('setup')
    .description('create, or bring up to date, the schema, functions, publication, replica identities and slot')
    .option('--print', 'write the SQL that is missing, and change nothing')
    .option('--grant <role>', 'also give this role what it needs to run the bridge')
    .addOption(envFileOption())
    .action(async (options: Options) => {
      const config = databaseConfig(environmentWith(options.envFile));
      const write = (line: string): void => void process.stdout.write(`${line}\n`);
      if (options.print === true) await print(config, options.grant, write);
      else if ((await setUp(config, { done: (title) => write(`made: ${title}`), wait: withProgress, grant: options.grant })) === 0) write('nothing to do: the database is set up');
    });
}

export interface SetupOptions {
  readonly done: (title: string) => void;
  /** says what is waited for */
  readonly wait?: typeof withProgress;
  readonly grant?: string | undefined;
  /**
   * An instance that starts: a slot that was there and is lost is not made anew (ON_SLOT_LOST decides about it), how many
   * share the messages does not change, and nothing is removed.
   */
  readonly starting?: boolean;
}

/** @returns how many steps there were to do */
export async function setUp(config: DatabaseConfig, options: SetupOptions): Promise<number> {
  const wait = options.wait ?? (<T>(_what: string, work: Promise<T>) => work);
  const session = await wait('waiting for the database', openSetupSession(await connectionConfig(config.environment, 'slackchat-bridge setup')));
  try {
    const names = namesOf(config);
    const state = await inspect(session.client, names);
    const starting = options.starting === true;
    if (starting) refuseLayout(state, names);
    const all = [...planSetup(state, names), ...(options.grant === undefined ? [] : [planGrants(options.grant, names)])];
    const steps = all.filter((step) => !starting || (step.lost !== true && step.tidying !== true));
    for (const step of steps) {
      await wait(step.title, applyStep(session.client, step));
      options.done(step.title);
    }
    return steps.length;
  } finally {
    await session.close();
  }
}

async function print(config: DatabaseConfig, grant: string | undefined, write: (text: string) => void): Promise<void> {
  const session = await openSetupSession(await connectionConfig(config.environment, 'slackchat-bridge setup'));
  try {
    const names = namesOf(config);
    const steps = planSetup(await inspect(session.client, names), names);
    if (grant !== undefined) steps.push(planGrants(grant, names));
    write(steps.length === 0 ? '-- nothing to do: the database is set up' : steps.map(printStep).join('\n'));
  } finally {
    await session.close();
  }
}
