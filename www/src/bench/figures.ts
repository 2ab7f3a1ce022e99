// What a run found, and how it is told: one column for each engine, one row for each thing measured.
import { bytes } from "../parts/words.ts";

export const rows = {
  cold: { title: "Cold start to the first answer", unit: "ms" },
  coldKept: { title: "the same, and the files are kept", unit: "ms" },
  picture1: { title: "A picture, one at a time", unit: "ms" },
  picture8: { title: "A picture, eight at a time", unit: "ms" },
  labels2: { title: "Classify, 2 known labels", unit: "ms" },
  labels100: { title: "Classify, 100 known labels", unit: "ms" },
  labels1000: { title: "Classify, 1,000 known labels", unit: "ms" },
  zeroShot: { title: "Zero-shot, 4 labels, both towers", unit: "ms" },
  zeroShotKept: { title: "Zero-shot, 4 labels, which are kept", unit: "ms" },
  detect1: { title: "Detect, 1 new label", unit: "ms" },
  detect20: { title: "Detect, 20 new labels", unit: "ms" },
  detect20Kept: { title: "Detect, 20 labels asked for before", unit: "ms" },
  pictureFirst: { title: "A question about a picture, to the first token", unit: "ms" },
  pictureToken: { title: "each token after it", unit: "token" },
  textFirst: { title: "A text of 256 tokens, to the first token", unit: "ms" },
  textToken: { title: "each token after it", unit: "token" },
  bytes: { title: "Downloaded", unit: "bytes" },
  code: { title: "Code alone, gzipped", unit: "bytes" },
  memory: { title: "Peak memory, over an empty page", unit: "bytes" },
  memoryKept: { title: "the same, and the files are kept", unit: "bytes" },
} as const;
export type Row = keyof typeof rows;
export const rowNames = Object.keys(rows) as Row[];

/** Samples, the first of each engine from the same round; or why there are none. */
export interface Figure {
  samples: number[];
  note?: string;
}

export interface Column {
  engine: string;
  facts: string;
  figures: Partial<Record<Row, Figure>>;
  /** How close the engine's numbers are to the first column's. */
  agrees?: string;
  error?: string;
}

export interface Result {
  date: string;
  browser: string;
  adapter: string;
  isolated: boolean;
  model: string;
  precision: string;
  rounds: number;
  columns: Column[];
}

export function median(samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** The first column's figure is 1: the median of what each round gives, over the rounds that both took part in. */
export function ratio(column: Column, base: Column | undefined, row: Row): number | undefined {
  const [a, b] = [column.figures[row]?.samples ?? [], base?.figures[row]?.samples ?? []];
  const pairs = Math.min(a.length, b.length);
  return pairs ? median(a.slice(0, pairs).map((x, i) => x / (b[i] as number))) : undefined;
}

export function show(row: Row, figure: Figure | undefined): string {
  if (!figure) return "";
  if (!figure.samples.length) return figure.note ?? "";
  const value = median(figure.samples);
  if (rows[row].unit === "bytes") return bytes(value);
  const often = rows[row].unit === "token" ? `, ${(1000 / value).toPrecision(3)}/s` : "";
  if (value >= 9950) return `${(value / 1000).toFixed(value < 99_500 ? 1 : 0)} s${often}`;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ms${often}`;
}

export function showRatio(x: number | undefined): string {
  if (x === undefined) return "";
  return `${x < 0.0995 ? x.toPrecision(1) : x < 9.95 ? x.toFixed(2) : x.toFixed(0)}×`;
}

export const names: Record<string, string> = {
  "ocelli": "Ocelli",
  "ocelli-cpu": "Ocelli, CPU",
  "ocelli-cpu-1": "Ocelli, CPU, 1 thread",
  "ort-webgpu": "ORT WebGPU",
  "ort-wasm": "ORT WASM",
  "ort-wasm-1": "ORT WASM, 1 thread",
  "transformers-webgpu": "transformers.js WebGPU",
  "transformers-wasm": "transformers.js WASM",
  "wllama": "wllama",
  "wllama-1": "wllama, 1 thread",
};
export const nameOf = (engine: string): string => names[engine] ?? engine.replace(/^ocelli:/, "Ocelli, ");

/** What the rows mean, for the page and the report. */
export const meanings = [
  "Cold start: code and model fetched, nothing cached, to the scores of two labels for one picture, or to the first token after a few words. The others never keep the files; Ocelli does so by default, for the next visit.",
  "A picture: Ocelli from a JPEG file of 640 × 480 to its embedding, decoding and resizing included; ORT from a ready tensor to its " +
    "embedding, read back; transformers.js from the file to the scores of two labels, because its pipeline has no less.",
  "Classify: from the picture to the scores. Ocelli and ORT keep the labels' embeddings; transformers.js's pipeline embeds all labels in every call.",
  "Zero-shot: from a file and four labels to their scores, as the workload of that name in GoogleChrome/webai-compute-benchmark.",
  "Detect: from a file and labels to all their boxes. Ocelli keeps labels that were asked for before; transformers.js's pipeline keeps none. The first round's answers stand beside Python's.",
  "Write: greedily and to the end of what was asked for. From the call with a file as large as a tile, or with a text, to the first token; then each token to the next. No text begins as the one before, and no picture was seen before. wllama's times are its own: it hands a token out when it has the next.",
  "ORT has no tokenizer and no decoder: what it leaves out is in the other columns.",
  "Figures are medians; engines alternate, and ratios are medians over rounds in which both ran.",
];

export const precisionLine = (precision: string): string =>
  precision === "q8"
    ? "Precision q8: Ocelli keeps weights in 8 bits with a scale for 16 of them and multiplies in f32; ORT's _quantized files are dynamic int8, activations too, a scale for each tensor. Not the same arithmetic."
    : precision === "q4"
      ? "Precision q4: Ocelli keeps weights in 4 bits with a scale for 32 of them and computes in f32; transformers.js takes q4f16, 4-bit matrices and the rest in f16, or q4 on GPUs without f16."
      : "Precision f32: the same weights everywhere as they are stored, none of them rounded; f32, unless an engine's own line says otherwise.";

/** The report as Markdown. */
export function report(result: Result): string {
  const columns = result.columns;
  const table = (head: string, cell: (column: Column, row: Row) => string, used: Row[]): string =>
    [
      `| ${head} | ${columns.map(({ engine }) => nameOf(engine)).join(" | ")} |`,
      `|---|${columns.map(() => "---:|").join("")}`,
      ...used.map((row) => `| ${rows[row].title} | ${columns.map((column) => cell(column, row)).join(" | ")} |`),
    ].join("\n");
  const used = rowNames.filter((row) => columns.some(({ figures }) => figures[row]));
  const paired = used.filter((row) => columns.some((column) => ratio(column, columns[0], row) !== undefined));
  return [
    "# Ocelli, side by side",
    "",
    `${result.browser}; adapter: ${result.adapter}; ${result.isolated ? "cross-origin isolated" : "not cross-origin isolated, so wasm has one thread"}; ` +
      `model ${result.model}; at most ${result.rounds} rounds; ${result.date}`,
    "",
    precisionLine(result.precision),
    "",
    table("Figures", (column, row) => show(row, column.figures[row]), used),
    "",
    table(
      `Ratios, ${nameOf(columns[0]?.engine ?? "")} = 1`,
      (column, row) => showRatio(ratio(column, columns[0], row)),
      paired,
    ),
    "",
    ...columns.map(
      ({ engine, facts, agrees, error }) =>
        `- ${nameOf(engine)}: ${[facts, agrees, error && `failed: ${error}`, ...notes(columns, engine)].filter(Boolean).join("; ")}`,
    ),
    "",
    ...meanings.map((line) => `- ${line}`),
    "",
  ].join("\n");
}

/** Remarks on the figures of an engine. */
function notes(columns: Column[], engine: string): string[] {
  const figures = columns.find((column) => column.engine === engine)?.figures ?? {};
  return rowNames.flatMap((row) => {
    const figure = figures[row];
    return figure?.note && figure.samples.length ? [`${rows[row].title}: ${figure.note}`] : [];
  });
}
