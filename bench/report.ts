import { writeFile } from 'node:fs/promises';
import { arch, cpus, release, totalmem, type as osType } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './child.js';
import { median, met, type Goal, type Section } from './measure.js';

const number = (value: number): string => {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
};
/** Median, and from the least to the most. */
const spread = (values: readonly number[]): string => {
  if (values.length === 0) return '–';
  const middle = number(median(values));
  return values.length === 1 ? middle : `${middle} (${number(Math.min(...values))}–${number(Math.max(...values))})`;
};
const wanted = ({ atLeast, atMost }: Goal): string => (atLeast === undefined ? `≤ ${atMost ?? ''}` : `≥ ${atLeast}`);

function cells({ rows }: Section): string[][] {
  const figures = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))];
  return [['', ...figures], ...rows.map((row) => [row.name, ...figures.map((figure) => spread(row.figures[figure] ?? []))])];
}

const goalCells = (goals: readonly Goal[]): string[][] => [
  ['against', 'measured', 'goal', ''],
  ...goals.filter((goal) => goal.values.some(Number.isFinite)).map((goal) => [goal.text, spread(goal.values), wanted(goal), met(goal) ? 'met' : 'not met']),
];

function aligned(table: readonly (readonly string[])[]): string {
  const widths = (table[0] ?? []).map((_cell, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')).join('\n');
}

function markdown(table: readonly (readonly string[])[]): string {
  const [head = [], ...rows] = table;
  return [head, head.map((_cell, column) => (column === 0 ? '---' : '---:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

export function asText(section: Section): string {
  return `\n${section.title}\n${aligned(cells(section))}${section.goals.length === 0 ? '' : `\n\n${aligned(goalCells(section.goals))}`}`;
}

/** How it was measured. */
export interface Run {
  readonly postgres: string;
  readonly rounds: number;
  readonly args: readonly string[];
  /** the machine's load average before it began: processes that wanted to run */
  readonly load: number;
}

/** Writes docs/benchmarks.md and docs/benchmarks.json. */
export async function writeReport(sections: readonly Section[], { postgres, rounds, args, load }: Run): Promise<void> {
  const machine = {
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    system: `${osType()} ${release()} ${arch()}`,
    node: process.version,
    postgres,
    load,
  };
  const command = `npm run bench${args.length === 0 ? '' : ` -- ${args.join(' ')}`}`;
  const date = new Date().toISOString().slice(0, 10);
  await writeFile(join(ROOT, 'docs/benchmarks.json'), `${JSON.stringify({ date, command, machine, rounds, sections }, null, 1)}\n`);
  const text = [
    '# Benchmarks',
    `Written by \`${command}\` on ${date}; not by hand. The raw figures are in [benchmarks.json](benchmarks.json).`,
    `${machine.cpu}, ${machine.memory}, ${machine.system}; Node ${machine.node}, embedded PostgreSQL ${machine.postgres}. ` +
      'The server, the receiver and what is measured are processes of their own on the same machine, so they share its cores: only the ratios mean something elsewhere. ' +
      `Before it began, the machine's load average was ${number(load)}${load > 0.5 ? ': others were at work on it' : ''}.`,
    `${rounds === 1 ? 'Each figure is of one round.' : `Each figure is the median of ${rounds} rounds (the least – the most).`} Everyone takes turns within a round, and ratios are made round by round.`,
    '- **bare**: rows decoded by hand, a body that is there already, undici\'s `dispatch`, 32 connections. No net effect, no names, no signature, no order, nothing durable: the ceiling of this design.\n' +
      '- **contract**: the same with what any sender of these notifications has to send: a body from the row, the headers, a signature; 64 connections, as the bridge. What is between it and ours is the bridge\'s own.\n' +
      '- **ours**: the bridge as it is run, signing, with order and durability.\n' +
      '- **naive**: pg-logical-replication\'s service with one awaited request after another.\n' +
      '- **outbox**: triggers that add a job for each message, and graphile-worker 0.16 with 32 jobs at a time, in no order.',
    'One piece alone: `npm run bench -- drain`; smaller: `--quick`; a CPU profile of the bridge: `--profile FOLDER`.',
    ...sections.flatMap((section) => [
      `## ${section.title}`,
      section.about,
      markdown(cells(section)),
      ...(section.goals.length === 0 ? [] : [markdown(goalCells(section.goals))]),
    ]),
  ];
  await writeFile(join(ROOT, 'docs/benchmarks.md'), `${text.join('\n\n')}\n`);
}
