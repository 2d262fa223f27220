/**
 * Why a difference from the application is meant. Each is a sentence of the documentation; judge.ts has the narrow
 * condition under which it may be given as the reason.
 */
export const RULES = {
  'net-effect': 'a message that one transaction creates and deletes was never there for anybody: nothing is told, the application told both',
  'one-per-transaction': 'several saves of a message in one transaction are told once, with its state at commit',
  'cascade-folded': 'a message that is deleted with its children is told as deleted, not also as changed for each child',
  'message-moved': 'a message that changes its channel is told as deleted there and created here',
  'silent-write-told': 'raw SQL, bulk and queryset writes are told; the application never announced them',
  'truncate-told': 'a TRUNCATE is told as an update of every channel; the application never announced it',
  'challenged-anew': 'an endpoint is challenged whenever its row is new, unticked or has another address; the application believes a tick, and does not see bulk writes',
  'endpoint-isolated': 'an endpoint that the application gave up on is tried again, and does not keep others from being told',
  'fields-echoed': 'the application echoed a value as it was given; the bridge sends what the database holds',
  'newer-payload': 'the bridge told a newer state than the application, which a broker or a stale instance held up',
  'children-by-id': 'reactions, attachments and arguments are in the order of their ids; the application has them in physical order',
  'nothing-waits': 'where `serialized` was NULL nobody is known to renew it: a child is told at once, and the message that follows too',
  'zone-tables': "before 1901-12-13 and after 2038-01-19 the application's table of time zones has no changes; the bridge's is right",
  'nulls-left-out': 'an explicit update notification has no update_type and no message; the application sends both as null',
  'messages-by-timestamp': 'messages in channel_data are in the order of their timestamps; the application has them in physical order',
  'messages-computed': 'messages in channel_data are computed from the rows; the application has what was stored when they were saved',
} as const;

export type Rule = keyof typeof RULES;

/** What this version of the bridge does not do yet. */
export type Missing = 'republish' | 'unpublish';

export interface Finding {
  readonly step: number;
  readonly label: string;
  /** "/hooks/main, message 7" */
  readonly about: string;
  readonly verdict: 'equal' | 'explained' | 'unexplained' | 'not built';
  readonly rules: readonly Rule[];
  readonly missing?: Missing;
  /** the difference in full; empty when there is none */
  readonly detail: string;
}
