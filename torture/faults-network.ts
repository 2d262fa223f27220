import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, Faults } from './faults.js';
import { MANNERS } from './manners.js';
import type { Network } from './network.js';
import type { Random } from './random.js';
import type { Endpoint, Stage } from './stage.js';

type Where = (stage: Stage, random: Random) => Network;

const database: Where = (stage) => stage.network;
const receivers: Where = (stage, random) => random.pick(stage.endpoints.flatMap(({ network }) => network ?? []));

function failures(where: Where): Readonly<Record<'cut' | 'cut in part' | 'delay' | 'blackhole' | 'half-close' | 'refuse', Fault>> {
  const during = (begin: (network: Network, random: Random) => void, end: (network: Network) => void): Fault => async (stage, random) => {
    const network = where(stage, random);
    begin(network, random);
    await sleep(random.pick([100, 600, 1_500, 3_000]));
    end(network);
    return true;
  };
  const once = (act: (network: Network, random: Random) => void): Fault => (stage, random) => {
    act(where(stage, random), random);
    return Promise.resolve(true);
  };
  return {
    cut: once((network) => network.cut()),
    'cut in part': once((network, random) => network.cut(() => random.chance(0.4))),
    delay: during((network, random) => { network.delayMs = random.pick([5, 40, 300]); }, (network) => { network.delayMs = 0; }),
    blackhole: during((network) => network.blackhole(true), (network) => network.blackhole(false)),
    'half-close': once((network, random) => network.halfClose(random.pick(['client', 'server']))),
    refuse: during((network) => network.refuse(true), (network) => network.refuse(false)),
  };
}

const toDatabase = failures(database);
const toReceivers = failures(receivers);

export const networkFaults: Faults = {
  'database cut': [2, toDatabase.cut],
  'database cut in part': [2, toDatabase['cut in part']],
  'database delayed': [2, toDatabase.delay],
  'database in a blackhole': [2, toDatabase.blackhole],
  'database half-closed': [2, toDatabase['half-close']],
  'database refused': [1, toDatabase.refuse],
  'receiver cut': [2, toReceivers.cut],
  'receiver cut in part': [2, toReceivers['cut in part']],
  'receiver delayed': [2, toReceivers.delay],
  'receiver in a blackhole': [2, toReceivers.blackhole],
  'receiver half-closed': [2, toReceivers['half-close']],
  'receiver refused': [2, toReceivers.refuse],
};

/** Not those of which other faults say themselves how they answer. */
function anyReceiver(stage: Stage, random: Random): Endpoint {
  return random.pick(stage.endpoints.filter(({ name, receiver }) => name !== 'healthy' && receiver.manner !== 'gone'));
}

const manner = (name: (typeof MANNERS)[number]): Fault => async (stage, random) => {
  const { receiver } = anyReceiver(stage, random);
  receiver.manner = name;
  await sleep(random.pick([300, 1_000, 2_500, 5_000]));
  if (receiver.manner === name) receiver.manner = 'well';
  return true;
};

/** 410 until the bridge has disabled it; then it is enabled again. */
const gone: Fault = async (stage, random) => {
  const endpoint = stage.endpoint('mover');
  if (endpoint.receiver.manner === 'gone') return false;
  stage.declare(endpoint);
  endpoint.receiver.manner = 'gone';
  try {
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(50)) {
      const found = await stage.pool.query('SELECT FROM slackchat_bridge.webhooks WHERE id = $1 AND NOT enabled', [endpoint.webhookId]).catch(() => null);
      if (found?.rowCount === 1) return true;
    }
    return false;
  } finally {
    endpoint.receiver.manner = 'well';
    await sleep(random.integer(0, 1_500));
    await stage.pool.query('UPDATE slackchat_bridge.webhooks SET enabled = true WHERE id = $1', [endpoint.webhookId]);
  }
};

const moved: Fault = async (stage, random) => {
  const endpoint = stage.endpoint(random.pick(['mover', 'picky']));
  stage.declare(endpoint);
  endpoint.moves += 1;
  if (random.chance(0.3)) endpoint.receiver.challenges = 'refuse';
  await stage.pool.query('UPDATE slackchat_bridge.webhooks SET endpoint = $2 WHERE id = $1', [endpoint.webhookId, stage.address(endpoint)]);
  await sleep(random.integer(0, 1_500));
  endpoint.receiver.challenges = 'echo';
  return true;
};

const paused: Fault = async (stage, random) => {
  const endpoint = stage.endpoint('picky');
  stage.declare(endpoint);
  await stage.pool.query('UPDATE slackchat_bridge.webhooks SET enabled = false WHERE id = $1', [endpoint.webhookId]);
  await sleep(random.integer(0, 2_000));
  await stage.pool.query('UPDATE slackchat_bridge.webhooks SET enabled = true WHERE id = $1', [endpoint.webhookId]);
  return true;
};

const registered: Fault = async (stage) => {
  const endpoint = stage.endpoint('late');
  if (endpoint.webhookId !== '') return false;
  await stage.register(endpoint);
  return true;
};

export const receiverFaults: Faults = {
  ...Object.fromEntries(MANNERS.filter((name) => name !== 'well' && name !== 'gone').map((name): [string, readonly [number, Fault]] => [`receiver: ${name}`, [1, manner(name)]])),
  'receiver: gone': [2, gone],
  'address changed': [2, moved],
  'endpoint paused': [1, paused],
  'endpoint registered': [2, registered],
};
