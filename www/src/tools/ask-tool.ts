import { html, nothing } from "lit";
import { live } from "lit/directives/live.js";
import { Part } from "../element.ts";
import "../parts/copy-button.ts";
import "../parts/model-card.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import "../parts/use-in-app.ts";
import { address } from "../state/address.ts";
import { writers } from "../state/models.ts";
import { shown } from "../state/shown.ts";
import { asking, type Exchange } from "./ask/asking.ts";
import { mannerOf, type Asked, type Manner, type Opening } from "./ask/suggested.ts";
import { codeFor, linkTo } from "./code.ts";

/** A conversation about the picture. */
class AskTool extends Part {
  #question = "";
  readonly #asked = () => this.#take();

  /** Whether words came until the last update. */
  #came = false;

  constructor() {
    super();
    this.watch(asking, writers, shown);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    address.addEventListener("change", this.#asked);
    this.#take();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    address.removeEventListener("change", this.#asked);
    asking.stop();
  }

  protected override render() {
    const { thread, busy } = asking;
    const manner = this.#manner;
    if (!manner) return html`<ocelli-model-card .task=${"ask"}></ocelli-model-card>`;
    const still = busy || !shown.picture;
    return html`${this.#usual(manner, still)} ${knowledge("ask")}
      <section class="answer" aria-label="Answer" aria-busy=${String(busy)}>
        ${manner.asked ? this.#form(still) : nothing}
        <p class="small">Answers can be wrong. Check what matters.</p>
        <div class="thread" role="log" tabindex="0" aria-label="Questions and answers" aria-busy=${String(busy)}>
          ${thread.map((exchange, at) => this.#exchange(exchange, at))}
        </div>
      </section>
      <div class="folds">
        <ocelli-use-in-app .code=${this.#code(manner)} .link=${this.#link(manner)}></ocelli-use-in-app>
      </div>`;
  }

  protected override updated(): void {
    const thread = this.querySelector(".thread");
    const toEnd = () => thread && (thread.scrollTop = thread.scrollHeight);
    // The newest words are in sight, and what comes under the last of them, once it is drawn.
    if (asking.busy) toEnd();
    else if (this.#came) requestAnimationFrame(toEnd);
    this.#came = asking.busy;
  }

  /** What many people ask. */
  #usual({ suggestions, openings, asked: own }: Manner, still: boolean) {
    return html`<div class="row usual">
      ${suggestions.map(
        ({ words, asked }, at) =>
          html`<button
            type="button"
            class=${at === 0 ? "primary" : ""}
            ?disabled=${still}
            @click=${() => void asking.ask("prompt" in asked ? asked.prompt : words, asked)}
          >
            ${words}
          </button>`,
      )}
      ${openings.map(
        (opening) =>
          html`<button type="button" ?disabled=${still} @click=${() => this.#begin(opening)}>${opening[0]}</button>`,
      )}
      ${own ? nothing : this.#stop(!asking.busy)}
    </div>`;
  }

  #stop(still = false) {
    return html`<button type="button" ?disabled=${still} @click=${() => asking.stop()}>Stop</button>`;
  }

  #form(still: boolean) {
    return html`<form class="row" @submit=${(event: Event) => this.#submit(event)}>
      <input
        class="grow"
        type="text"
        aria-label="Ask about this image"
        placeholder="Ask about this image"
        autocomplete="off"
        .value=${live(this.#question)}
        @input=${(event: Event) => (this.#question = (event.target as HTMLInputElement).value)}
      />
      ${asking.busy ? this.#stop() : html`<button class="primary" ?disabled=${still}>Ask</button>`}
    </form>`;
  }

  #exchange({ question, asked, answer, state, error, rate }: Exchange, at: number) {
    const waits = state === "waiting";
    // Blanks around it would be seen.
    const said = answer.trim() || (waits ? "Looking…" : "");
    return html`<article data-at=${at} data-state=${state}>
      <p class="question">${question}</p>
      <p class="written ${waits ? "looking" : ""}">${said}</p>
      ${state === "failed" ? notice(error) : nothing}
      ${state === "stopped" ? html`<p class="small">Stopped.</p>` : nothing}
      ${
        state === "done"
          ? html`<div class="row">
              <ocelli-copy
                .words=${"question" in asked ? "Copy" : "Copy as alt text"}
                .content=${() => altText(answer)}
              ></ocelli-copy>
              ${rate ? html`<span class="small">${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens per second</span>` : nothing}
            </div>`
          : nothing
      }
    </article>`;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const question = this.#question.trim();
    const asked = this.#manner?.asked?.(question);
    if (asking.busy || !question || !asked) return;
    this.#question = "";
    void asking.ask(question, asked);
  }

  /** Begins the question in the field; the user names the thing. */
  #begin([, before, behind]: Opening): void {
    this.#question = before + behind;
    this.requestUpdate();
    void this.updateComplete.then(() => {
      const input = this.querySelector("input");
      input?.focus();
      input?.setSelectionRange(before.length, before.length);
    });
  }

  /** The question of the address waits in the field: nothing is asked without a click. */
  #take(): void {
    const question = address.params.get("q");
    if (address.part !== "ask" || question === null) return;
    this.#question = question;
    this.requestUpdate();
  }

  get #manner(): Manner | undefined {
    return writers.info && mannerOf(writers.info);
  }

  /** What was asked last, or the first thing to try. */
  #last({ suggestions, asked: own }: Manner): Asked {
    const last = asking.thread.at(-1)?.asked;
    // The thread stays when the model changes, and only models without questions have tasks.
    return last && "task" in last === !own ? last : suggestions[0].asked;
  }

  #link(manner: Manner): string {
    const asked = this.#last(manner);
    const question = "prompt" in asked ? asked.prompt : "question" in asked ? asked.question : undefined;
    return linkTo("ask", question === undefined ? {} : { q: question });
  }

  #code(manner: Manner): string {
    const { choice } = writers;
    if (!choice) return "";
    const asked = this.#last(manner);
    if ("task" in asked)
      return codeFor("Vlm", "ocelli/vlm", choice, [
        `const answer = await model.task(image, ${JSON.stringify(asked.task)});`,
        "console.log(answer);",
      ]);
    const [[name, value]] = Object.entries(asked) as [[string, string | true]];
    return codeFor("Vlm", "ocelli/vlm", choice, [
      `const stream = model.stream({ image, ${name}: ${JSON.stringify(value)} });`,
      "for await (const part of stream) output.append(part);",
    ]);
  }
}

/** An answer in one line, as an `alt` attribute has it. */
function altText(answer: string): string {
  return answer.trim().replace(/\s+/g, " ");
}

customElements.define("ocelli-ask-tool", AskTool);
