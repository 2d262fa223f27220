import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { parseArgs, promisify } from 'node:util';
import type { Bench } from './bench.js';
import { ROOT } from './child.js';
import type { Section } from './measure.js';
import { asText, writeReport } from './report.js';
import { Receiver } from './run.js';
import { Stage } from './stage.js';
import { drains, reactions } from './cases/drain.js';
import { fanout, faults, parked } from './cases/endpoints.js';
import { latency, receivers } from './cases/latency.js';
import { outage } from './cases/outage.js';
import { idle, large, start } from './cases/process.js';
import { shards } from './cases/shards.js';

const WORK: Readonly<Record<string, (bench: Bench) => Promise<readonly Section[]>>> = { drain: drains, reactions, latency, receivers, fanout, faults, parked, large, idle, start, outage, shards };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    'only-ours': { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !(name in WORK));
if (values.help || unknown.length > 0) {
  process.stdout.write(
    `npm run bench -- [work …] [--quick] [--rounds N] [--only-ours] [--profile FOLDER]\n\nWork: ${Object.keys(WORK).join(', ')}; none: all of it, and docs/benchmarks.md is written anew.\n`,
  );
  process.exit(unknown.length > 0 ? 2 : 0);
}

const load = loadavg()[0] ?? 0;
await promisify(execFile)('npm', ['run', '-s', 'build'], { cwd: ROOT });
const stage = await Stage.open();
const receiver = new Receiver();
try {
  await receiver.open();
  const bench: Bench = {
    stage,
    receiver,
    rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
    onlyOurs: values['only-ours'],
    size: (whole, quick) => (values.quick ? quick : whole),
    profileOf: (contender) => (contender === 'ours' ? values.profile : undefined),
  };
  const sections: Section[] = [];
  for (const name of positionals.length === 0 ? Object.keys(WORK) : positionals) {
    const began = performance.now();
    for (const section of (await WORK[name]?.(bench)) ?? []) {
      sections.push(section);
      process.stdout.write(`${asText(section)}\n`);
    }
    process.stdout.write(`\n(${name} took ${Math.round((performance.now() - began) / 1000)} s)\n`);
    // A run that is broken off leaves what it has.
    if (positionals.length === 0) await writeReport(sections, { postgres: stage.server.version, rounds: bench.rounds, args: process.argv.slice(2), load });
  }
} finally {
  await receiver.close();
  await stage.close();
}
