/** The element with this id, or an error that names it: index.html and the modules meet here only. */
export function byId<K extends keyof HTMLElementTagNameMap>(id: string, tag: K): HTMLElementTagNameMap[K] {
  const found = document.getElementById(id);
  if (found?.localName !== tag) throw new Error(`#${id}: expected <${tag}>, found ${found ? `<${found.localName}>` : "nothing"}`);
  return found as HTMLElementTagNameMap[K];
}

/** A new element with attributes and children; text is always text, never markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** "7.2 MB": decimal units, as browsers show downloads. */
export function bytes(count: number): string {
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(count < 1e8 ? 1 : 0)} MB`;
  return `${(count / 1e9).toFixed(2)} GB`;
}
