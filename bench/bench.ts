import type { Contender, Receiver } from './run.js';
import type { Stage } from './stage.js';

/** What a piece of work gets. */
export interface Bench {
  readonly stage: Stage;
  readonly receiver: Receiver;
  readonly rounds: number;
  /** without the references other than the bare loop */
  readonly onlyOurs: boolean;
  /** the whole size, or with --quick the smaller */
  size(whole: number, quick: number): number;
  profileOf(contender: Contender): string | undefined;
}
