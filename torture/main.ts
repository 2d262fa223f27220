import { readFile } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildIfStale } from '../conformance/bridge-process.js';
import { runTorture, type Result } from './run.js';

const USAGE = `npm run torture -- [--seconds 60] [--seed 7]

Real SQL on a real PostgreSQL while the bridge, the server, the network and the receivers fail; then what every
endpoint received is held against what was committed. Exit status 1 when something does not hold.

  --seconds <n>    how long it goes on (60)
  --seed <n>       the same deeds and faults again, though not at the same moments
  --rounds <n>     so many runs, with this seed and those after it (1)
  --sessions <n>   how many write at once (5)
  --faults <text>  only faults whose names match this regular expression
  --keep           keep the bridge's log
`;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, rounds: { type: 'string', default: '1' }, sessions: { type: 'string', default: '5' },
      faults: { type: 'string' }, keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
    },
  });
  const [seconds, seed, rounds, sessions] = [values.seconds, values.seed ?? String(randomInt(1, 1_000_000)), values.rounds, values.sessions].map(Number);
  if (values.help || seconds === undefined || seed === undefined || rounds === undefined || sessions === undefined || ![seconds, seed, rounds, sessions].every((one) => one > 0)) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  if (await buildIfStale()) print('built the bridge');
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  let failed = 0;
  for (let round = 0; round < rounds && !stop.signal.aborted; round += 1) {
    const result = await runTorture({ seconds, seed: seed + round, sessions, only: values.faults === undefined ? null : new RegExp(values.faults, 'u'), signal: stop.signal });
    report(result);
    if (result.faults.length > 0) {
      failed += 1;
      await result.save();
      print(`\nwhat was committed, what came and what struck is beside the bridge's log, ${result.logFile}, which ends with:\n${await tail(result.logFile)}`);
    } else if (values.keep) print(`the bridge's log: ${result.logFile}`);
    else await result.removeLogs();
  }
  return failed > 0 ? 1 : 0;
}

function report({ seed, seconds, settledMs, figures, struck, faults, stories }: Result): void {
  print(`\nseed ${seed}, ${seconds} s, settled after ${(settledMs / 1000).toFixed(1)} s`);
  print(`  faults      ${Object.entries(struck).map(([name, count]) => `${name} ${count}`).join(', ')}`);
  for (const [name, figure] of Object.entries(figures)) print(`  ${name.padEnd(11)} ${figure}`);
  if (faults.length === 0) {
    print('  everything holds');
    return;
  }
  print(`  ${faults.length} FAULTS`);
  for (const fault of faults.slice(0, 20)) print(`  - ${fault}`);
  for (const told of stories) print(`\n${told}`);
}

async function tail(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).split('\n').slice(-25).map((line) => `  ${line.slice(0, 300)}`).join('\n');
}

process.exitCode = await main().catch(async (error: unknown) => {
  process.stderr.write(`torture: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  await sleep(0);
  return 2;
});
