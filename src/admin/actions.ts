import { errorCode, errorMessage, PreconditionError } from '../errors.js';

/** What can be asked for through the admin port; each is the SQL function of that name, or one UPDATE. */
export const ACTIONS = ['verify', 'enable', 'resync', 'retry_all', 'retry'] as const;

export interface Action {
  readonly kind: (typeof ACTIONS)[number];
  /** of the endpoint; of the delivery for `retry` */
  readonly id: string;
}

/** @throws PostgreSQL's errors, or PreconditionError when there is no such thing */
export type Perform = (action: Action) => Promise<void>;

const PATH = /^\/api\/(?<kind>verify|enable|resync|retry_all|retry)\/(?<id>[1-9]\d{0,17})$/u;

/** `/api/verify/3`; null: the path is none of an action */
export function actionOf(path: string): Action | null {
  const groups = PATH.exec(path)?.groups;
  const kind = ACTIONS.find((known) => known === groups?.['kind']);
  const id = groups?.['id'];
  return kind === undefined || id === undefined ? null : { kind, id };
}

/** What the asker is answered. */
export async function carryOut(action: Action, perform: Perform): Promise<{ readonly status: number; readonly body: { readonly error: string | null } }> {
  try {
    await perform(action);
    return { status: 202, body: { error: null } };
  } catch (error) {
    const missing = error instanceof PreconditionError || errorCode(error) === 'P0002';
    return { status: missing ? 404 : 503, body: { error: errorMessage(error) } };
  }
}
