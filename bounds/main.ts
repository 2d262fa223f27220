import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import { Child, ROOT } from '../bench/child.js';
import { Stage } from '../bench/stage.js';
import { Receiver } from './receiver.js';
import { STRAINS, type Scene, type Strain } from './strains.js';

/** What the process may have beside MAX_BUFFER_MB: Node itself, the code, names of users and channels, garbage. */
const BASE_MB = 192;
const BUFFER_MB = 64;

const USAGE = `npm run bounds -- [strain …] [--scale 1]

Puts the bridge under one strain after the other, each with a process and a database of its own, and prints the most
memory that it had (peak RSS). Exit status 1 when that is more than ${BASE_MB} MB and MAX_BUFFER_MB (${BUFFER_MB}), and what
one row of 10 MB (60 MB) or many endpoints (0.01 MB each) take where the strain is that.

  --scale <n>   parts of the whole size: 10 is a tenth
`;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function strainOf(stage: Stage, receiver: Receiver, strain: Strain, size: Scene['size']): Promise<{ readonly said: string; readonly peakMb: number; readonly cpuSeconds: number; readonly seconds: number }> {
  return stage.withDatabase(async (database) => {
    receiver.forget();
    const bridge: { child: Child | null } = { child: null };
    const scene: Scene = {
      database,
      receiver,
      size,
      async register(endpoints) {
        await database.register(endpoints);
        await database.mark();
      },
      async start(env = {}) {
        bridge.child = new Child('dist/main.js', { args: ['run'], env: { ...database.environment(await database.slot()), MAX_BUFFER_MB: String(BUFFER_MB), ...env } });
        return bridge.child;
      },
    };
    const began = performance.now();
    try {
      const said = await strain.run(scene);
      if (bridge.child === null) throw new Error('the strain started no bridge');
      const { peakMb, cpuMs } = await bridge.child.usage();
      return { said: said ?? '', peakMb, cpuSeconds: cpuMs / 1000, seconds: (performance.now() - began) / 1000 };
    } finally {
      await bridge.child?.stop();
    }
  });
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { scale: { type: 'string', default: '1' }, help: { type: 'boolean', default: false } } });
  const scale = Number(values.scale);
  const unknown = positionals.filter((name) => !(name in STRAINS));
  if (values.help || unknown.length > 0 || !(scale >= 1)) {
    print(`${USAGE}\nStrains: ${Object.keys(STRAINS).join(', ')}`);
    return values.help ? 0 : 2;
  }
  await promisify(execFile)('npm', ['run', '-s', 'build'], { cwd: ROOT });
  const stage = await Stage.open();
  const receiver = new Receiver();
  let over = 0;
  try {
    await receiver.open();
    const size = (whole: number): number => Math.max(1, Math.round(whole / scale));
    for (const [key, strain] of Object.entries(STRAINS)) {
      if (positionals.length > 0 && !positionals.includes(key)) continue;
      const { said, peakMb, cpuSeconds, seconds } = await strainOf(stage, receiver, strain, size);
      const well = peakMb <= BASE_MB + BUFFER_MB + (strain.more?.(size) ?? 0);
      if (!well) over += 1;
      print(`${well ? ' ' : '!'} ${peakMb.toFixed(0).padStart(5)} MB  ${seconds.toFixed(0).padStart(4)} s, CPU ${cpuSeconds.toFixed(0).padStart(4)} s  ${strain.name(size)}${said === '' ? '' : `: ${said}`}`);
    }
  } finally {
    receiver.close();
    await stage.close();
  }
  return over > 0 ? 1 : 0;
}

process.exitCode = await main();
