// Writing: a question about a picture, and a long text, each with the tokens after it.
import { scriptOf, type Prompt, type Script, type Writer, type Written } from "./engine.ts";
import { Bench, type Runner, type Samples } from "./run.ts";

export class WriteBench extends Bench<Writer> {
  readonly #told = new Map<Runner<Writer>, { picture?: Written; text?: Written }>();
  #script: Script | undefined;

  protected async measure(): Promise<void> {
    const script = (this.#script = await scriptOf(this.settings.model));
    const seeing = this.runners.filter(({ engine }) => engine.sees);
    await this.turns("pictureFirst", seeing, async (runner, round) => {
      const written = await this.#write(runner, { text: script.question, picture: round + 1 });
      if (round < 0) this.#of(runner).picture = written;
      return { pictureFirst: written.first, pictureToken: written.each };
    });
    if (script.prompts.length === 0) return;
    await this.turns("textFirst", this.runners, async (runner, round) => {
      // The last ones were asked for before.
      const number = (round + 1) % (script.prompts.length - 4);
      const written = await this.#write(runner, script.prompts[number] as Prompt);
      if (round < 0) this.#of(runner).text = written;
      return { textFirst: written.first, textToken: written.each } satisfies Samples;
    });
  }

  #of(runner: Runner<Writer>) {
    const told = this.#told.get(runner) ?? {};
    this.#told.set(runner, told);
    return told;
  }

  async #write({ engine }: Runner<Writer>, prompt: Prompt): Promise<Written> {
    const { tokens } = this.settings;
    const written = await engine.write(prompt, tokens);
    if (written.tokens.length !== tokens)
      throw new Error(`expected ${tokens} tokens, found ${written.tokens.length}: the model ended its text`);
    return written;
  }

  protected compare(): void {
    const script = this.#script;
    if (!script) return;
    for (const runner of this.runners) {
      const { picture, text } = this.#of(runner);
      const found = [
        picture && `of the picture's ${same(picture.tokens, script.tokens)}`,
        text && `of the text's ${same(text.tokens, script.prompts[0]?.tokens ?? [])}`,
      ].filter(Boolean);
      runner.column.agrees = `tokens as in Python, from the first on: ${found.join(", ")}`;
    }
  }
}

function same(found: number[], expected: number[]): string {
  const count = found.findIndex((token, at) => token !== expected[at]);
  return `${found.length} tokens ${count < 0 ? "all" : count}`;
}
