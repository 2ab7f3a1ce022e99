import { html } from "lit";

interface Words {
  text: string;
  write(text: string, typing?: boolean): void;
}

const questions = { find: "What to find", cut: "What to cut out" };

/** The field for the words of a tool; one on a page. */
export function wordsField(tool: keyof typeof questions, words: Words) {
  const id = "tool-words";
  return html`<form
    class="words"
    @submit=${(event: Event) => {
      event.preventDefault();
      words.write(words.text);
    }}
  >
    <label for=${id}>${questions[tool]}</label>
    <input
      id=${id}
      type="text"
      spellcheck="false"
      autocomplete="off"
      autocapitalize="off"
      placeholder="dog, red ball"
      aria-describedby="${id}-help"
      .value=${words.text}
      @input=${(event: Event) => words.write((event.target as HTMLInputElement).value, true)}
    />
    <p id="${id}-help" class="small">Anything, in your own words. Commas between.</p>
  </form>`;
}
