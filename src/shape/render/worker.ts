import { parentPort } from 'node:worker_threads';
import { TextRenderer, type RendererRows } from './text.js';

/** What the thread beside is asked to render. */
export interface Request extends RendererRows {
  readonly text: string;
}

const KEPT = 16;
/** made from their rows, by these as text */
const renderers = new Map<string, TextRenderer>();

function rendererOf({ templates, toHtml }: RendererRows): TextRenderer {
  const key = JSON.stringify([templates, toHtml]);
  const known = renderers.get(key);
  if (known !== undefined) return known;
  if (renderers.size >= KEPT) renderers.clear();
  const made = new TextRenderer(templates, toHtml);
  renderers.set(key, made);
  return made;
}

parentPort?.on('message', (request: Request) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(rendererOf(request).render(request.text));
});
