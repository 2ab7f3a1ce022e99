import { html, nothing } from "lit";
import { Part } from "../element.ts";
import { database, type ListRecord } from "../state/db.ts";
import { examples } from "../state/examples.ts";
import { suggestions, templateSets, type LabelList } from "../state/label-list.ts";
import { notice } from "./notice.ts";

const own = "Custom";

/** The form for a list of labels: the labels, their prompt, lists by name. */
class LabelEditor extends Part {
  static override properties = { list: { attribute: false } };
  declare list: LabelList;
  #saved: ListRecord[] = [];
  #name = "";
  #watched: LabelList | undefined;
  readonly #ids = `labels-${Math.random().toString(36).slice(2)}`;

  constructor() {
    super();
    this.watch(examples);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#read();
  }

  protected override willUpdate(): void {
    if (this.#watched === this.list) return;
    this.#watched = this.list;
    this.watch(this.list);
  }

  protected override render() {
    const { text, names, wrong, failed } = this.list;
    const id = (part: string) => `${this.#ids}-${part}`;
    const set = text.template in templateSets ? text.template : own;
    return html` <form class="label-editor" @submit=${(event: Event) => event.preventDefault()}>
      <div class="labels">
        <label for=${id("text")}>Labels to choose from <span class="small">(${names.length})</span></label>
        <textarea
          id=${id("text")}
          rows="4"
          spellcheck="false"
          autocomplete="off"
          aria-describedby=${id("help")}
          aria-invalid=${wrong.labels ? "true" : nothing}
          .value=${text.labels}
          data-field="labels"
          @input=${(event: InputEvent) => this.list.write({ labels: (event.target as HTMLTextAreaElement).value }, true)}
        ></textarea>
        <p id=${id("help")} class="small">One per line, or separated by commas.</p>
        ${wrong.labels ? html`<p class="wrong" role="alert">${wrong.labels}</p>` : nothing}
      </div>
      <div class="template">
        <label for=${id("set")}>Prompt</label>
        <select
          id=${id("set")}
          .value=${set}
          @change=${(event: Event) => this.#sentence((event.target as HTMLSelectElement).value)}
        >
          ${[own, ...Object.keys(templateSets)].map((name) => html`<option ?selected=${name === set}>${name}</option>`)}
        </select>
        ${
          set === own
            ? html`<input
                type="text"
                aria-label="Custom prompt, with {} where the label belongs"
                spellcheck="false"
                autocomplete="off"
                .value=${text.template}
                data-field="template"
                aria-invalid=${wrong.template ? "true" : nothing}
                @input=${(event: InputEvent) => this.list.write({ template: (event.target as HTMLInputElement).value }, true)}
              />`
            : nothing
        }
        <p class="small">
          ${set === own ? "{} is replaced by each label." : "Averages several prompts, as in CLIP's paper: steadier for photos."}
        </p>
        ${wrong.template ? html`<p class="wrong" role="alert">${wrong.template}</p>` : nothing}
      </div>
      <div class="lists">
        <label for=${id("lists")}>Lists</label>
        <div class="row">
          <select
            id=${id("lists")}
            .value=${""}
            @change=${(event: Event) => this.#take(event.target as HTMLSelectElement)}
          >
            <option value="" selected>Load a list…</option>
            <optgroup label="Suggestions">
              ${suggestions.map(({ name }) => html`<option value=${`0${name}`}>${name}</option>`)}
            </optgroup>
            ${this.#saved.length > 0 ? html`<optgroup label="Yours">${this.#saved.map(({ name }) => html`<option value=${`1${name}`}>${name}</option>`)}</optgroup>` : nothing}
          </select>
          <input
            type="text"
            aria-label="Name for this list"
            placeholder="Name for this list"
            .value=${this.#name}
            @input=${(event: InputEvent) => this.#named((event.target as HTMLInputElement).value)}
          />
          <button type="button" ?disabled=${!this.#name.trim() || names.length === 0} @click=${() => void this.#keep()}>
            Save list
          </button>
          ${
            this.#saved.some(({ name }) => name === this.#name.trim())
              ? html`<button type="button" class="quiet" @click=${() => void this.#drop()}>Delete</button>`
              : nothing
          }
        </div>
      </div>
      ${failed ? notice(failed, () => this.list.again()) : nothing}
    </form>`;
  }

  #sentence(set: string): void {
    this.list.write({ template: set === own ? undefined : set });
  }

  #named(name: string): void {
    this.#name = name;
    this.requestUpdate();
  }

  #take(select: HTMLSelectElement): void {
    const name = select.value.slice(1);
    const found = (select.value.startsWith("0") ? suggestions : this.#saved).find((list) => list.name === name);
    select.value = "";
    if (!found) return;
    if (this.#saved.includes(found)) this.#name = name;
    this.list.write({ labels: found.labels, template: found.template });
    this.requestUpdate();
  }

  async #keep(): Promise<void> {
    await (await database()).put("lists", { ...this.list.kept, name: this.#name.trim() });
    await this.#read();
  }

  async #drop(): Promise<void> {
    await (await database()).delete("lists", this.#name.trim());
    this.#name = "";
    await this.#read();
  }

  async #read(): Promise<void> {
    this.#saved = await database().then(
      (db) => db.getAll("lists"),
      () => [],
    );
    this.requestUpdate();
  }
}

customElements.define("ocelli-label-editor", LabelEditor);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-label-editor": LabelEditor;
  }
}
