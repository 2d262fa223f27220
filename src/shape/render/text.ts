import type { Row } from '../../types.js';
import { applyTemplates, compileTemplates, type CompiledTemplates, type Rendered, type TemplateProblem } from './templates.js';
import { renderMarkdown } from './markdown.js';

/** What one chat type makes of the texts of its messages: its templates, in the order of their ids, then Markdown. */
export class TextRenderer {
  readonly #templates: CompiledTemplates;
  readonly #toHtml: boolean;

  /** @param templates rows of the chat type's custom content templates */
  constructor(templates: readonly Row[], toHtml: boolean) {
    this.#toHtml = toHtml;
    this.#templates = compileTemplates(
      templates.map((row) => ({
        id: row['id'] ?? '',
        searchString: row['search_string'] ?? '',
        contentTemplate: row['content_template'] ?? null,
        argumentTemplate: row['argument_template'] ?? null,
        attachmentTemplate: row['attachment_template'] ?? null,
        kwargTemplate: row['kwarg_template'] ?? null,
      })),
    );
  }

  /** What is wrong with the templates whatever the text. */
  get problems(): readonly TemplateProblem[] {
    return this.#templates.problems;
  }

  render(text: string): Rendered {
    const rendered = applyTemplates(this.#templates, text);
    return this.#toHtml ? { ...rendered, content: renderMarkdown(rendered.content) } : rendered;
  }
}
