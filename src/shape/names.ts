import type { Row } from '../types.js';
import { requested, type ReplayEffect } from './asked.js';
import type { Children, Effect } from './coalesce.js';

/** Ids of what payloads name. */
export interface Names {
  readonly channels: ReadonlySet<string>;
  readonly users: ReadonlySet<string>;
  readonly args: ReadonlySet<string>;
}

/** What the payloads that are made of these will name. */
export function namesIn(effects: Iterable<Effect | ReplayEffect>, messages: Iterable<{ readonly row: Row | null; readonly children: Children }>): Names {
  const channels = new Set<string>();
  const users = new Set<string>();
  const args = new Set<string>();
  const add = (set: Set<string>, id: string | null | undefined): void => {
    if (typeof id === 'string') set.add(id);
  };
  const addRow = (message: Row | null): void => {
    add(channels, message?.['channel_id']);
    add(users, message?.['user_id']);
  };
  const addChildren = ({ reaction }: Children): void => {
    for (const child of reaction) {
      add(users, child['user_id']);
      add(args, child['argument_id']);
    }
  };
  for (const effect of effects) {
    if (effect.kind === 'control') add(channels, requested(effect.request)?.channelId);
    if (effect.kind !== 'message') continue;
    addRow(effect.before);
    addRow(effect.row);
    addChildren(effect.children);
  }
  for (const { row, children } of messages) {
    addRow(row);
    addChildren(children);
  }
  return { channels, users, args };
}
