/** An element with its attributes and children. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>> = {}, ...children: readonly (Node | string)[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The element of the page's own HTML with this id. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** Only what changes is written, so that a selection stays and a screen reader is not told the same again. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export interface Shown<T> {
  readonly node: Element;
  update(item: T): void;
}

/** Keeps the children of an element in step with a list: what stays is kept, with its focus and what is open in it. */
export class List<T> {
  readonly #parent: Element;
  readonly #key: (item: T) => string;
  readonly #create: (item: T) => Shown<T>;
  readonly #shown = new Map<string, Shown<T>>();

  constructor(parent: Element, key: (item: T) => string, create: (item: T) => Shown<T>) {
    this.#parent = parent;
    this.#key = key;
    this.#create = create;
  }

  show(items: readonly T[]): void {
    const keys = new Set(items.map(this.#key));
    for (const [key, { node }] of this.#shown) {
      if (keys.has(key)) continue;
      node.remove();
      this.#shown.delete(key);
    }
    for (const [place, item] of items.entries()) {
      const key = this.#key(item);
      const known = this.#shown.get(key);
      const shown = known ?? this.#create(item);
      if (known === undefined) this.#shown.set(key, shown);
      shown.update(item);
      if (this.#parent.children[place] !== shown.node) this.#parent.insertBefore(shown.node, this.#parent.children[place] ?? null);
    }
  }
}
