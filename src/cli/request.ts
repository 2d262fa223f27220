import { Command } from 'commander';
import { envFileOption } from './environment.js';
import { call } from './session.js';
import { print, toId } from './table.js';

interface Options {
  readonly envFile?: string;
}

/** The requests that a person or a job makes; each is one call of the function of the same name. */
export function requestCommands(): Command[] {
  return [
    aboutChannel('republish', 'ask the renderers to publish a channel again', 'SELECT slackchat_bridge.republish($1::text) AS value'),
    aboutChannel('unpublish', 'ask the renderers to take a channel down', 'SELECT slackchat_bridge.unpublish($1::text) AS value'),
    aboutChannel('request-update', 'send an update notification about a channel to every endpoint that wants its chat type', 'SELECT slackchat_bridge.request_update($1::text) AS value'),
    new Command('resync')
      .description('send an update notification about every channel to one endpoint')
      .argument('<webhook id>', 'the id that webhooks list shows', toId)
      .addOption(envFileOption())
      .action(async (id: string, { envFile }: Options) => {
        await call(envFile, 'SELECT slackchat_bridge.resync($1::bigint) AS value', [id]);
        print(`requested: resync of webhook ${id}`);
      }),
  ];
}

function aboutChannel(name: string, description: string, sql: string): Command {
  return new Command(name)
    .description(description)
    .argument('<channel>', 'the id of the channel')
    .addOption(envFileOption())
    .action(async (channel: string, { envFile }: Options) => {
      await call(envFile, sql, [channel]);
      print(`requested: ${name} of channel ${channel}`);
    });
}
