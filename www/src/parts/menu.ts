import { html, type TemplateResult } from "lit";

/**
 * A button that unfolds more of them below it. They fold again after a click on one, a key Escape, or when the focus goes elsewhere.
 */
export function menu(words: string | TemplateResult, body: unknown, kind = "") {
  return html`<details class="menu ${kind}" @keydown=${escaped} @focusout=${left} @click=${clicked}>
    <summary class="button">${words}</summary>
    <div class="sheet" tabindex="-1">${body}</div>
  </details>`;
}

function escaped(event: KeyboardEvent): void {
  const details = event.currentTarget as HTMLDetailsElement;
  if (event.key !== "Escape" || !details.open) return;
  event.stopPropagation();
  details.open = false;
  details.querySelector("summary")?.focus();
}

function left({ currentTarget, relatedTarget }: FocusEvent): void {
  const details = currentTarget as HTMLDetailsElement;
  // The window as a whole may lose the focus, to a file dialog for one.
  if (document.hasFocus() && !details.contains(relatedTarget as Node | null)) details.open = false;
}

function clicked({ currentTarget, target }: Event): void {
  if ((target as HTMLElement).closest("button")) (currentTarget as HTMLDetailsElement).open = false;
}
