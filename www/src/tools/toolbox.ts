import { nothing } from "lit";
import { notice } from "../parts/notice.ts";
import type { Task } from "../state/models.ts";
import { Store } from "../state/store.ts";
import { switching } from "../state/switching.ts";

interface Tool {
  /** What asks and answers. */
  element: string;
  /** What is drawn over the picture. */
  layer?: string;
  load: () => Promise<unknown>;
}

/** What can be done with the picture that is shown. */
const tools: Record<Task, Tool> = {
  label: { element: "ocelli-label-tool", load: () => import("./label-tool.ts") },
  find: { element: "ocelli-find-tool", layer: "ocelli-found-layer", load: () => import("./find-tool.ts") },
  cut: { element: "ocelli-cut-tool", layer: "ocelli-cut-layer", load: () => import("./cut-tool.ts") },
  ask: { element: "ocelli-ask-tool", load: () => import("./ask-tool.ts") },
};

/** The tools of a page, of which one is in use. Those that were used before are as one left them. */
export class Toolbox extends Store {
  readonly #elements = new Map<string, HTMLElement>();
  #task: Task | undefined;
  #failed: unknown;

  /** The task of the tool in use. */
  get task(): Task | undefined {
    return this.#task;
  }

  /** What the tool draws over the picture, whose edges are those of its parent. */
  get layer(): HTMLElement | undefined {
    return this.#element("layer");
  }

  /** Takes a tool: fetches its code, and the model that it used last, if that is here. Without a task, none is in use. */
  async take(task: Task | undefined): Promise<void> {
    this.#task = task;
    this.#failed = undefined;
    this.changed();
    if (!task) return;
    const { load, element, layer } = tools[task];
    try {
      await load();
    } catch (error) {
      if (task === this.#task) this.#failed = error;
      return this.changed();
    }
    for (const name of [element, layer])
      if (name && !this.#elements.has(name)) this.#elements.set(name, document.createElement(name));
    this.changed();
    await switching.resume(task);
  }

  /** The tool in use, or why it is not here. */
  view() {
    return this.#failed
      ? notice(this.#failed, () => void this.take(this.#task))
      : (this.#element("element") ?? nothing);
  }

  #element(part: "element" | "layer"): HTMLElement | undefined {
    return this.#task && this.#elements.get(tools[this.#task][part] ?? "");
  }
}
