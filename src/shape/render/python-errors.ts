/** What Python would raise: its class and its message. The application refuses the save then. */
export class PythonError extends Error {
  readonly type: string;

  constructor(type: string, message: string) {
    super(`${type}: ${message}`);
    this.type = type;
  }
}

/** Steps that searches may take in all, where others wait for them. */
export interface Patience {
  steps: number;
}

/** The searches took more steps than there was patience for: they have to be made where nobody waits. */
export class ImpatientError extends Error {}

/** Python would go on; the bridge does not: it would take too long or too much memory, or differ from run to run. */
export class LimitError extends Error {}
