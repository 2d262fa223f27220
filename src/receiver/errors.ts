/** The body is not what the bridge sends. `field` says where: 'message.reactions[0].user'; '' is the body itself. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
  readonly field: string;

  constructor(field: string, what: string) {
    super(field === '' ? what : `${field}: ${what}`);
    this.field = field;
  }
}

/** A well-formed body of a type that this version does not know. */
export class UnknownTypeError extends PayloadError {}

/** The request is not signed by somebody who holds the secret, or not lately. */
export class SignatureError extends Error {
  override readonly name = 'SignatureError';
}

/** Thrown by a function that does the work: answers with this status in place of 500. 410 ends the subscription. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    if (!Number.isInteger(status) || status < 400 || status > 599) throw new RangeError(`${status} is no status of an error: 400 to 599`);
    this.status = status;
  }
}
