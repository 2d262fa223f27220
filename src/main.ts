#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { deliveriesCommand } from './cli/deliveries.js';
import { demoCommand } from './cli/demo.js';
import { doctorCommand } from './cli/doctor.js';
import { listenCommand } from './cli/listen.js';
import { replayCommand } from './cli/replay.js';
import { requestCommands } from './cli/request.js';
import { runCommand } from './cli/run.js';
import { setupCommand } from './cli/setup.js';
import { statusCommand } from './cli/status.js';
import { teardownCommand } from './cli/teardown.js';
import { webhooksCommand } from './cli/webhooks.js';
import { ConfigurationError, errorMessage } from './errors.js';
import { VERSION } from './version.js';

const FAILED = 1;
const WRONG_USAGE = 2;

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('slackchat-bridge')
    .description('Streams committed chat changes from PostgreSQL to webhooks.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(slackchat-bridge --help lists the commands and their options)')
    .addHelpText('after', '\nSettings come from the environment or from --env-file; docs/configuration.md lists them.\nExit status: 0 well, 1 failed, 2 wrong usage or configuration.');
  const commands = [runCommand(), setupCommand(), doctorCommand(), statusCommand(), teardownCommand(), webhooksCommand(), deliveriesCommand(), ...requestCommands(), replayCommand(), listenCommand(), demoCommand()];
  for (const command of commands) {
    for (const each of [command, ...command.commands]) each.exitOverride().configureOutput(program.configureOutput());
    program.addCommand(command);
  }
  try {
    await program.parseAsync(argv);
    return 0;
  } catch (error) {
    // Commander has printed what was wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
    process.stderr.write(`slackchat-bridge: ${errorMessage(error)}\n`);
    return error instanceof ConfigurationError ? WRONG_USAGE : FAILED;
  }
}

// Set rather than exit, so that what was written to a pipe still gets out.
process.exitCode = await main(process.argv);
