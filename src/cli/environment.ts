import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { Option } from 'commander';
import type { Environment } from '../config.js';
import { ConfigurationError, errorMessage } from '../errors.js';

export const envFileOption = (): Option => new Option('--env-file <path>', 'read settings from this file; the environment goes first');

/** @throws {ConfigurationError} when the file cannot be read */
export function environmentWith(path: string | undefined): Environment {
  if (path === undefined) return process.env;
  try {
    return { ...parseEnv(readFileSync(path, 'utf8')), ...process.env };
  } catch (error) {
    throw new ConfigurationError(`--env-file: ${errorMessage(error)}`);
  }
}
