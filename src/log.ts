import { pino, type Logger } from 'pino';

export type { Logger };

/**
 * JSON lines on stdout. Secrets never come here: no code passes them, and the few objects that hold
 * one are cut at these paths should one slip in.
 */
export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: ['token', 'secret', 'password', 'connectionString', '*.token', '*.secret', '*.password', '*.connectionString'], censor: '[hidden]' },
  });
}
