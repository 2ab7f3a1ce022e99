/** The element with this id, or an error that names it: index.html and the modules meet here only. */
export function byId<K extends keyof HTMLElementTagNameMap>(id: string, tag: K): HTMLElementTagNameMap[K] {
  const found = document.getElementById(id);
  if (found?.localName !== tag)
    throw new Error(`#${id}: expected <${tag}>, found ${found ? `<${found.localName}>` : "nothing"}`);
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

/** Lets the browser download `file` under this name. */
export function download(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // The browser takes the file soon after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Stops all tracks, which releases the camera or the screen. */
export function stopTracks(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
