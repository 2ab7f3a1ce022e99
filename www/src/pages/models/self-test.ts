import type { Verification } from "ocelli";
import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { notice } from "../../parts/notice.ts";
import { modelsOf, type Task } from "../../state/models.ts";

/** Whether the model in use computes rightly on this device, in words; the checks themselves are folded away. */
class SelfTest extends Part {
  static override properties = { task: { attribute: false } };
  declare task: Task;
  #running = false;
  #found: Verification | undefined;
  #failed: unknown;
  /** The model of the result. */
  #tested: unknown;

  constructor() {
    super();
    this.task = "label";
    this.watch(...Object.values(modelsOf));
  }

  protected override render() {
    const { model } = modelsOf[this.task];
    const current = this.#tested === model;
    return html` <h3>Check this device</h3>
      <p class="small">Compares every computation with a slow and simple one. Takes a few seconds.</p>
      <button type="button" ?disabled=${this.#running || !model} @click=${() => void this.#run()}>
        ${this.#running ? "Checking…" : "Run the check"}
      </button>
      <div role="status">${this.#found && current ? this.#answer(this.#found) : nothing}</div>
      ${this.#failed && current ? notice(this.#failed, () => void this.#run()) : nothing}`;
  }

  #answer({ ok, off, goldens, checks, adapter }: Verification) {
    return html` ${
        ok
          ? html`<p class="right">All ${checks.length} checks passed (${adapter || "this device"}).</p>`
          : html`<p class="wrong">
              A check failed${off ? `: ${off}` : ""}. Don't trust this model's answers on this device. Another browser
              or a newer graphics driver may help.
            </p>`
      }
      ${goldens ? nothing : html`<p class="small">Only the computations were checked: this model comes without reference values.</p>`}
      <details>
        <summary>The checks</summary>
        <div class="scroll" tabindex="0" role="region" aria-label="The checks">
          <table>
            <thead>
              <tr>
                <th scope="col">Check</th>
                <th scope="col">Runs</th>
                <th scope="col">Share of the allowed error</th>
              </tr>
            </thead>
            <tbody>
              ${checks.map(
                ({ name, runs, share, ok, why }) =>
                  html`<tr>
                    <td>${name}</td>
                    <td>${runs}</td>
                    <td class=${ok ? "" : "wrong"}>${ok && share !== null ? percent(share) : (why ?? "off")}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
      </details>`;
  }

  async #run(): Promise<void> {
    const { model } = modelsOf[this.task];
    if (!model || this.#running) return;
    this.#running = true;
    this.#tested = model;
    this.#found = this.#failed = undefined;
    this.requestUpdate();
    try {
      this.#found = await model.verify();
    } catch (error) {
      this.#failed = error;
    }
    this.#running = false;
    this.requestUpdate();
  }
}

function percent(share: number): string {
  return share === 0 ? "none" : share < 0.001 ? "under 0.1%" : `${(100 * share).toFixed(1)}%`;
}

customElements.define("ocelli-self-test", SelfTest);
