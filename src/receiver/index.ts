/** What the package gives to receivers: `import { handler } from 'slackchat-bridge/receiver'`. Nothing else of it is public. */
export { Completeness, type Resolved } from './completeness.js';
export { PayloadError, SignatureError, StatusError, UnknownTypeError } from './errors.js';
export { handler, type FastifyLikeReply, type FastifyLikeRequest, type Handler } from './handler.js';
export type { RequestHeaders } from './headers.js';
export { compareLsn } from './lsn.js';
export { parse } from './parse.js';
export type * from './payloads.js';
export type { Context, HandlerOptions, Result } from './receive.js';
export { SeenInMemory, type SeenStore } from './seen.js';
export { verify, type VerifyOptions } from './verify.js';
