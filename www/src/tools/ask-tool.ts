import { html, nothing } from "lit";
import { Part } from "../element.ts";
import "../parts/copy-button.ts";
import "../parts/model-card.ts";
import { knowledge } from "../parts/model-hint.ts";
import { notice } from "../parts/notice.ts";
import "../parts/use-in-app.ts";
import { address } from "../state/address.ts";
import { writers } from "../state/models.ts";
import { shown } from "../state/shown.ts";
import { asking, type Exchange, type TextTask } from "./ask/asking.ts";
import { codeFor, linkTo } from "./code.ts";

const DESCRIBE = "Describe this image.";

/** Questions that many people have, by what stands on their buttons. */
const usual: readonly [words: string, question: string][] = [
  ["One line", "Describe this image in one short sentence."],
  ["Detailed", "Describe this image in detail."],
  ["Read the text", "What text is in this image? Write it out exactly."],
];

/** What Florence-2 is asked in place of questions, likewise. */
const tasks: readonly [words: string, task: TextTask][] = [
  ["Caption", "caption"],
  ["Detailed", "detailed-caption"],
  ["A paragraph", "more-detailed-caption"],
  ["Read the text", "ocr"],
  ["Name what is there", "object-detection"],
];

/** Where the name of a thing goes in "How many … are there?". */
const MANY = ["How many ", " are there?"] as const;

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
    if (!writers.model) return html`<ocelli-model-card .task=${"ask"}></ocelli-model-card>`;
    const still = busy || !shown.picture;
    const byTask = writers.info?.family === "florence2";
    return html`${byTask ? this.#tasks(still) : this.#usual(still)} ${knowledge("ask")}
      <section class="answer" aria-label="Answer" aria-busy=${String(busy)}>
        ${byTask ? nothing : this.#form(still)}
        <p class="small">Answers can be wrong. Check what matters.</p>
        <div class="thread" role="log" tabindex="0" aria-label="Questions and answers" aria-busy=${String(busy)}>
          ${thread.map((exchange, at) => this.#exchange(exchange, at))}
        </div>
      </section>
      <div class="folds">
        <ocelli-use-in-app .code=${this.#code()} .link=${linkTo("ask", { q: this.#last })}></ocelli-use-in-app>
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

  /** Questions that many people have. */
  #usual(still: boolean) {
    return html`<div class="row usual">
      <button type="button" class="primary" ?disabled=${still} @click=${() => void asking.ask(DESCRIBE)}>
        Describe
      </button>
      ${usual.map(
        ([words, question]) =>
          html`<button type="button" ?disabled=${still} @click=${() => void asking.ask(question)}>${words}</button>`,
      )}
      <button type="button" ?disabled=${still} @click=${() => this.#many()}>How many …?</button>
    </div>`;
  }

  /** What a model is asked that knows tasks in place of questions. */
  #tasks(still: boolean) {
    return html`<div class="row usual">
      ${tasks.map(
        ([words, task], at) =>
          html`<button
            type="button"
            class=${at === 0 ? "primary" : ""}
            ?disabled=${still}
            @click=${() => void asking.ask(words, task)}
          >
            ${words}
          </button>`,
      )}
      ${this.#stop(!asking.busy)}
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
        .value=${this.#question}
        @input=${(event: Event) => (this.#question = (event.target as HTMLInputElement).value)}
      />
      ${asking.busy ? this.#stop() : html`<button class="primary" ?disabled=${still}>Ask</button>`}
    </form>`;
  }

  #exchange({ question, answer, state, error, rate }: Exchange, at: number) {
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
              <ocelli-copy .words=${"Copy as alt text"} .content=${() => altText(answer)}></ocelli-copy>
              ${rate ? html`<span class="small">${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens per second</span>` : nothing}
            </div>`
          : nothing
      }
    </article>`;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const question = this.#question;
    if (asking.busy || !question.trim()) return;
    this.#question = "";
    void asking.ask(question);
  }

  /** Begins the question in the field; the user names the thing. */
  #many(): void {
    this.#question = MANY.join("");
    this.requestUpdate();
    void this.updateComplete.then(() => {
      const input = this.querySelector("input");
      input?.focus();
      input?.setSelectionRange(MANY[0].length, MANY[0].length);
    });
  }

  /** The question of the address waits in the field: nothing is asked without a click. */
  #take(): void {
    const question = address.params.get("q");
    if (address.part !== "ask" || question === null) return;
    this.#question = question;
    this.requestUpdate();
  }

  get #last(): string {
    return asking.thread.at(-1)?.question ?? DESCRIBE;
  }

  #code(): string {
    const { choice } = writers;
    if (!choice) return "";
    return writers.info?.family === "florence2"
      ? codeFor("Vlm", "ocelli/vlm", choice, [
          `const answer = await model.task(image, ${JSON.stringify(asking.thread.at(-1)?.task ?? "caption")});`,
          "console.log(answer);",
        ])
      : codeFor("Vlm", "ocelli/vlm", choice, [
          `const stream = model.stream({ image, prompt: ${JSON.stringify(this.#last)} });`,
          "for await (const part of stream) output.append(part);",
        ]);
  }
}

/** An answer in one line, as an `alt` attribute has it. */
function altText(answer: string): string {
  return answer.trim().replace(/\s+/g, " ");
}

customElements.define("ocelli-ask-tool", AskTool);
