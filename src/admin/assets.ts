import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The status page's files by their path, read once: nothing of the file system can be asked for. They hold nothing that is secret. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const folder = new URL('page/', import.meta.url);
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(folder)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    assets.set(name === 'index.html' ? '/' : `/page/${name}`, { type, body: readFileSync(new URL(name, folder)) });
  }
  return assets;
}
