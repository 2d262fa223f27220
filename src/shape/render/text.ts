import type { Row } from '../../types.js';
import { applyTemplates, compileTemplates, type CompiledTemplates, type Rendered, type TemplateProblem } from './templates.js';
import { renderMarkdown } from './markdown.js';
import type { Patience } from './python-errors.js';

/** What a renderer is made from, also in another thread. */
export interface RendererRows {
  readonly templates: readonly Row[];
  readonly toHtml: boolean;
}

/** What one chat type makes of the texts of its messages: its templates, in the order of their ids, then Markdown. */
export class TextRenderer {
  readonly #templates: CompiledTemplates;
  readonly rows: RendererRows;

  /** @param templates rows of the chat type's custom content templates */
  constructor(templates: readonly Row[], toHtml: boolean) {
    this.rows = { templates, toHtml };
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

  /** Nothing is made of any text. */
  get plain(): boolean {
    return this.#templates.templates.length === 0 && !this.rows.toHtml;
  }

  /** @throws {ImpatientError} when the patterns take more steps than there is patience for */
  render(text: string, patience: Patience | null = null): Rendered {
    const rendered = applyTemplates(this.#templates, text, patience);
    return this.rows.toHtml ? { ...rendered, content: renderMarkdown(rendered.content) } : rendered;
  }
}
