import { Command } from 'commander';

export function demoCommand(): Command {
  return new Command('demo')
    .description('all of it on an embedded PostgreSQL with the chat schema and live traffic; needs nothing installed')
    .option('--keep', 'leave everything running at the end, to play with')
    .action(async (options: { readonly keep?: boolean }) => {
      // Loaded only here: a production install has no embedded PostgreSQL.
      const { runDemo } = await import('../demo/demo.js');
      await runDemo({ keep: options.keep === true });
    });
}
