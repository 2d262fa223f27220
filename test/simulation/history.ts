import * as fc from 'fast-check';
import { Random } from '../../torture/random.js';
import type { Deed } from './chat.js';
import { VirtualClock } from './clock.js';
import { MANNERS } from './receiver.js';
import { DATABASE_MANNERS, World, type Step } from './world.js';

const small = fc.nat({ max: 4 });
const channel = fc.nat({ max: 2 });
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 80, arbitrary: fc.record({ kind: fc.constant('say' as const), channel, maintained: fc.boolean() }) },
  { weight: 80, arbitrary: fc.record({ kind: fc.constantFrom('edit' as const, 'edit' as const, 'touch' as const, 'renew' as const), message: small }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('delete' as const), message: small }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('move' as const), message: small, channel }) },
  { weight: 60, arbitrary: fc.record({ kind: fc.constant('child' as const), message: small, entity: fc.constantFrom('reaction' as const, 'attachment' as const, 'kwarg' as const) }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constantFrom('changeChild' as const, 'dropChild' as const), child: small }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('moveChild' as const), child: small, message: small }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('request' as const), channel, type: fc.constantFrom('request_update' as const, 'republish' as const, 'unpublish' as const) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'resync' as const }) },
  // To all of them as often as to one.
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('replay' as const), message: small, webhook: fc.nat({ max: 9 }) }) },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 140, arbitrary: fc.record({ kind: fc.constant('commit' as const), deeds: fc.array(deed, { minLength: 1, maxLength: 3 }) }) },
  { weight: 60, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 5, 20, 80, 300, 1_000, 3_000) }) },
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('receiver' as const), endpoint: fc.nat({ max: 4 }), manner: fc.constantFrom(...MANNERS) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('database' as const), manner: fc.constantFrom(...DATABASE_MANNERS) }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constantFrom('kill' as const, 'kill' as const, 'stop' as const, 'cut' as const), ms: fc.constantFrom(1, 20, 300, 1_500) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('hang' as const), ms: fc.constantFrom(1_500, 3_000, 6_000) }) },
);

/** @returns what does not hold */
export async function simulate(seed: number, history: readonly Step[]): Promise<readonly string[]> {
  const clock = new VirtualClock();
  const random = new Random(String(seed));
  return clock.run(() => random.fraction(), async () => {
    const world = await World.open(clock);
    for (const one of history) await world.do(one);
    return world.settle();
  });
}

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: 5, maxLength: 40, size: 'max' });
