// The benchmark's page. By hand through its form; by ?model=…&engines=a,b&precision=q8&rounds=3&run, too.
import { byId, make } from "../parts/dom.ts";
import {
  meanings,
  nameOf,
  names,
  precisionLine,
  ratio,
  report,
  rowNames,
  rows,
  show,
  showRatio,
  type Result,
} from "./figures.ts";
import { ClassifyBench } from "./classify.ts";
import { DetectBench } from "./detect.ts";
import { precisions, type Precision, type Task } from "./engine.ts";
import { inWords, type Settings } from "./run.ts";
import { WriteBench } from "./write.ts";

const form = byId("settings", "form");
const model = byId("model", "input");
const precision = byId("precision", "select");
const rounds = byId("rounds", "input");
const go = byId("go", "button");
const doing = byId("doing", "p");
const trouble = byId("trouble", "p");
const copy = byId("copy", "button");
const checks = byId("engines", "fieldset").querySelector(".checks") as HTMLElement;

/** Of a text, if nobody asks for another number. */
const TOKENS = 16;

const benches = { classify: ClassifyBench, detect: DetectBench, write: WriteBench } satisfies Record<Task, unknown>;

let result: Result | undefined;

declare global {
  interface Window {
    /** For whoever drives this page: what was found, and the report of it or of more. */
    bench?: { result: () => Result | undefined; report: (result: Result) => string };
  }
}
window.bench = { result: () => result, report };

const asked = new URLSearchParams(location.search);
const wanted = asked.get("engines")?.split(",") ?? ["ocelli"];
for (const [value, name] of Object.entries({
  ...names,
  tiers: "Ocelli, each kernel tier",
  long: "Also what takes very long",
  brief: "A picture alone: no batch, no labels",
  zeroshot: "Zero-shot with four labels alone",
  detect: "Detection with OWL-ViT or OWLv2",
  write: "Writing with SmolVLM",
})) {
  const box = make("input", { type: "checkbox", value });
  box.checked = wanted.includes(value);
  checks.append(make("label", {}, box, name));
}
byId("meanings", "ul").replaceChildren(
  ...[...meanings, precisionLine("q8"), precisionLine("q4")].map((line) => make("li", {}, line)),
);
model.value = asked.get("model") ?? model.value;
if (precisions.includes(asked.get("precision") ?? "")) precision.value = asked.get("precision") as Precision;
rounds.value = asked.get("rounds") ?? rounds.value;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void start();
});
copy.addEventListener("click", () => void copyReport());
paint("ready");
if (asked.has("run")) void start();

function paint(state: "ready" | "running" | "done"): void {
  document.documentElement.dataset["state"] = state;
  go.disabled = state === "running";
}

/** The settings of the form. Throws a sentence if they cannot be used. */
function read(): Settings {
  const checked = new Set([...checks.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value));
  const engines = Object.keys(names).filter((name) => checked.has(name));
  if (!engines.length) throw new Error("Choose an engine at least.");
  if (!model.value.trim() || !URL.canParse(model.value, document.baseURI))
    throw new Error("Write the address of a model folder first.");
  const folder = new URL(model.value, document.baseURI).href;
  if (!(rounds.valueAsNumber >= 1)) throw new Error("Rounds: expected at least 1.");
  return {
    engines,
    task: (["detect", "write"] as const).find((task) => checked.has(task)) ?? "classify",
    tiers: checked.has("tiers"),
    long: checked.has("long"),
    brief: checked.has("brief"),
    zeroShot: checked.has("zeroshot"),
    model: folder.endsWith("/") ? folder : `${folder}/`,
    precision: precision.value as Precision,
    rounds: Math.trunc(rounds.valueAsNumber),
    tokens: Number(asked.get("tokens") ?? TOKENS),
  };
}

async function start(): Promise<void> {
  trouble.textContent = "";
  try {
    const settings = read();
    paint("running");
    result = {
      date: new Date().toISOString().slice(0, 10),
      browser: browserName(),
      adapter: await adapterName(),
      isolated: crossOriginIsolated,
      model: new URL(settings.model).pathname.split("/").filter(Boolean).at(-1) ?? "",
      precision: settings.precision,
      rounds: settings.rounds,
      columns: [],
    };
    await new benches[settings.task](settings, byId("frames", "div"), result, step).run();
  } catch (error) {
    trouble.textContent = inWords(error);
  }
  paint("done");
}

/** Between two engines: the threads and the GPU's queue of the one before shall not disturb the next. */
const SETTLE_MS = 150;

/** Shows how far it is, and lets the browser draw that before the next thing blocks it. */
async function step(next: string): Promise<void> {
  doing.textContent = next && `${next} …`;
  if (result) showResult(result);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

function showResult(result: Result): void {
  const { columns } = result;
  byId("results", "section").hidden = false;
  byId("where", "p").textContent =
    `${result.browser} · ${result.adapter} · ${result.model}, ${result.precision}${result.isolated ? "" : " · not cross-origin isolated: wasm has one thread"}`;
  const used = rowNames.filter((row) => columns.some(({ figures }) => figures[row]));
  const head = make("tr", {}, make("td"), ...columns.map(({ engine }) => make("th", { scope: "col" }, nameOf(engine))));
  const body = used.map((row) =>
    make(
      "tr",
      { "data-row": row },
      make("th", { scope: "row" }, rows[row].title),
      ...columns.map((column) => {
        const figure = column.figures[row];
        const cell = make("td", figure?.samples.length ? {} : { class: "none" }, show(row, figure) || "–");
        const times = column === columns[0] ? "" : showRatio(ratio(column, columns[0], row));
        if (times) cell.append(make("small", {}, times));
        return cell;
      }),
    ),
  );
  byId("table", "table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  byId("columns", "ul").replaceChildren(
    ...columns
      .filter(({ facts, error }) => facts || error)
      .map(({ engine, facts, agrees, error }) =>
        make(
          "li",
          {},
          make("b", {}, nameOf(engine)),
          `: ${[facts, agrees, error && `failed: ${error}`].filter(Boolean).join("; ")}`,
        ),
      ),
  );
}

async function copyReport(): Promise<void> {
  if (!result) return;
  try {
    await navigator.clipboard.writeText(report(result));
    copy.textContent = "Copied";
  } catch (error) {
    trouble.textContent = `The report could not be copied: ${inWords(error)}`;
  }
  setTimeout(() => (copy.textContent = "Copy report"), 2000);
}

/** "Chromium 156.0", as the browser calls itself. */
function browserName(): string {
  const [, name, version] = /(Firefox|Edg|Chrome|Version)\/([\d.]+)/.exec(navigator.userAgent) ?? [, "a browser", ""];
  return `${name === "Version" ? "Safari" : name} ${version}, ${navigator.platform}`;
}

interface Gpu {
  requestAdapter(): Promise<{ info: { description: string; vendor: string; architecture: string } } | null>;
}

async function adapterName(): Promise<string> {
  const adapter = await (navigator as { gpu?: Gpu }).gpu?.requestAdapter();
  if (!adapter) return "no WebGPU";
  const { description, vendor, architecture } = adapter.info;
  return description || `${vendor} ${architecture}`.trim() || "without a name";
}
