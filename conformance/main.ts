import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { startPostgres, type PostgresServer } from '../src/demo/postgres.js';
import { buildIfStale } from './bridge-process.js';
import { runCorpus } from './corpus.js';
import { differencesOf, failed, table } from './report.js';
import { runScenario, type Result } from './run.js';
import { loadRecordings, type Scenario } from './scenario.js';
import { connect } from './stage.js';

const USAGE = `npm run conformance -- <folder> [scenario…]   replays recorded runs of the application against the bridge
npm run conformance -- --corpus <file>        compares what the bridge makes of texts with what the application made

  --strict     what is not built yet fails too
  --summary    the table alone, without the differences
  --jobs <n>   scenarios at once (2)
  --set <name=value>   a setting for the bridge beside those of the scenario; may be repeated
`;
const TEMPLATE = 'conformance_template';

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { corpus: { type: 'string' }, strict: { type: 'boolean', default: false }, summary: { type: 'boolean', default: false }, jobs: { type: 'string' }, set: { type: 'string', multiple: true, default: [] }, help: { type: 'boolean', default: false } },
  });
  const [folder, ...names] = positionals;
  if (values.corpus !== undefined) return (await runCorpus(values.corpus, print)) ? 0 : 1;
  if (values.help || folder === undefined) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const { schemaSql, scenarios } = await loadRecordings(folder, names);
  if (await buildIfStale()) print('built the bridge');
  const began = performance.now();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const settings = Object.fromEntries(values.set.map((given): [string, string] => [given.split('=')[0] ?? '', given.split('=').slice(1).join('=')]));
  const server = await startPostgres({ signal: stop.signal, settings: { max_replication_slots: '100' } });
  try {
    await createTemplate(server, schemaSql);
    const jobs = Number(values.jobs ?? Math.min(2, availableParallelism()));
    const play = (scenario: Scenario): Promise<Result> => runScenario(scenario, { server, template: TEMPLATE, settings });
    const results = await runAll(scenarios, jobs, play, (result) => {
      const found = differencesOf(result);
      if (!values.summary && found !== '') print(found);
    });
    print(table(results));
    print(`\n${results.length} scenarios on PostgreSQL ${server.version} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    return failed(results, values.strict) ? 1 : 0;
  } finally {
    await server.dispose();
  }
}

async function createTemplate(server: PostgresServer, schemaSql: string): Promise<void> {
  const admin = await connect(server.url());
  await admin.query(`CREATE DATABASE ${TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'`);
  const client = await connect(server.url(TEMPLATE));
  await client.query(schemaSql);
  await client.end();
  await admin.query(`ALTER DATABASE ${TEMPLATE} ALLOW_CONNECTIONS false`);
  await admin.end();
}

/** Some at a time; the results are in the order of the scenarios. */
async function runAll(scenarios: readonly Scenario[], jobs: number, play: (scenario: Scenario) => Promise<Result>, done: (result: Result) => void): Promise<readonly Result[]> {
  const results = new Map<Scenario, Result>();
  const waiting = [...scenarios];
  const work = async (): Promise<void> => {
    for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift()) {
      const result = await play(scenario).catch((error: unknown) => broken(scenario, error));
      results.set(scenario, result);
      done(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return scenarios.flatMap((scenario) => results.get(scenario) ?? []);
}

function broken({ name, steps }: Scenario, error: unknown): Result {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { name, steps: steps.length, theirs: 0, ours: 0, findings: [{ step: 0, label: 'not played to its end', about: 'the runner', verdict: 'unexplained', rules: [], detail }] };
}

process.exitCode = await main().catch((error: unknown) => {
  const said = error instanceof Error && 'stdout' in error ? `\n${String(error.stdout)}` : '';
  process.stderr.write(`conformance: ${error instanceof Error ? error.message : String(error)}${said}\n`);
  return 2;
});
