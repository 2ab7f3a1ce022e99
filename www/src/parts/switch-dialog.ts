import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { switching, type Question } from "../state/switching.ts";
import { bytes, count, duration } from "./words.ts";

/** Asks before a large download, and before photos are indexed again: how much, how long, and what it means. */
class SwitchDialog extends Part {
  constructor() {
    super();
    this.watch(switching);
  }

  protected override render() {
    const { question } = switching;
    return html`<dialog
      class="switch"
      aria-labelledby="switch-title"
      aria-describedby="switch-cost"
      @close=${() => switching.answer(false)}
    >
      ${question ? this.#cost(question) : nothing}
    </dialog>`;
  }

  protected override updated(): void {
    const dialog = this.querySelector("dialog");
    if (switching.question && !dialog?.open) dialog?.showModal();
    if (!switching.question && dialog?.open) dialog.close();
  }

  #cost({ choice, licence, bytes: size, seconds, saving, photos, indexing }: Question) {
    const time = seconds === undefined ? "" : `About ${duration(seconds)} on this connection. `;
    return html` <h2 id="switch-title">${size > 0 ? `Download ${bytes(size)}?` : `Switch to ${choice.name}?`}</h2>
      <div id="switch-cost">
        ${size > 0 ? html`<p>${choice.name}${licence ? `, licence: ${licence}` : ""}. ${time}It stays on this device until you remove it.</p>` : nothing}
        ${saving ? html`<p>Your browser is set to save data.</p>` : nothing}
        ${
          photos > 0
            ? html`<p>
                ${count(photos, "photo")} will be indexed
                again${indexing ? `, which takes ${indexing.atLeast ? "at least" : "about"} ${duration(indexing.seconds)} on this device` : ""}.
                What the current model has indexed is kept.
              </p>`
            : nothing
        }
      </div>
      <div class="row">
        <button type="button" class="primary" @click=${() => switching.answer(true)}>
          ${size > 0 ? "Download" : "Switch"}
        </button>
        <button type="button" @click=${() => switching.answer(false)}>Cancel</button>
      </div>`;
  }
}

customElements.define("ocelli-switch-dialog", SwitchDialog);
