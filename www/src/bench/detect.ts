// Detection: a picture and labels, to boxes.
import { besideReference } from "./boxes.ts";
import { labelList, type Finder, type Found } from "./engine.ts";
import { Bench, type Runner } from "./run.ts";

/** What tools/export_onnx.py writes beside the picture: the reference's best box for each label. */
interface Reference {
  labels: string[];
  found: Found[];
}

export class DetectBench extends Bench<Finder> {
  readonly #found = new Map<Runner<Finder>, Found[]>();
  #reference: Reference | undefined;
  /** Labels asked for so far, those of the first answers included. */
  #asked = 2;

  protected async measure(): Promise<void> {
    this.#reference = (await (await fetch(`${this.settings.model}boxes.json`)).json()) as Reference;
    const { labels } = this.#reference;
    await this.turns("detect20", this.runners, async (runner) => {
      const first = !this.#found.has(runner);
      const found = await runner.engine.find(first ? labels : this.#never(20));
      if (first) this.#found.set(runner, found);
    });
    await this.turns("detect1", this.runners, async ({ engine }) => void (await engine.find(this.#never(1))));
    const keeps = this.runners.filter(({ engine }) => engine.keeps);
    await this.turns("detect20Kept", keeps, async ({ engine }) => void (await engine.find(labels)));
  }

  /** Labels that nobody has asked for before. */
  #never(count: number): string[] {
    this.#asked += count;
    return labelList(this.#asked).slice(-count);
  }

  protected compare(): void {
    for (const runner of this.runners) {
      const found = this.#found.get(runner);
      if (found && this.#reference) runner.column.agrees = besideReference(found, this.#reference.found);
    }
  }
}
