import type { Classification } from "ocelli";

/** A picture and its tags, best first. */
export interface Tagged {
  path: string;
  tags: readonly Classification[];
}

/** How the tags were made, for the file of results. */
export interface Making {
  model: string;
  modelHash: string;
  labels: readonly string[];
  template: string;
  several: boolean;
  threshold: number;
}

/** A line for each picture; labels hold no commas, so commas between them are unmistakable. */
export function csv(pictures: readonly Tagged[]): Blob {
  const lines = pictures.map(({ path, tags }) => [
    path,
    tags.map(({ label }) => label).join(", "),
    tags.map(({ score }) => rounded(score)).join(", "),
  ]);
  return table([["path", "tags", "scores"], ...lines]);
}

/** Rows as CSV. */
export function table(rows: readonly string[][]): Blob {
  const text = rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
  // Spreadsheets take a file for UTF-8 if it says so.
  return new Blob(["\uFEFF", text], { type: "text/csv" });
}

export function json(pictures: readonly Tagged[], making: Making): Blob {
  const rows = pictures.map(({ path, tags }) => ({
    path,
    tags: tags.map(({ label, score }) => ({ label, score: rounded(score) })),
  }));
  return new Blob([JSON.stringify({ ...making, pictures: rows }, undefined, 2), "\n"], { type: "application/json" });
}

/** Quoted; a spreadsheet takes what begins with one of these for a formula, unless an apostrophe stands before it. */
function cell(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${plain.replaceAll('"', '""')}"`;
}

function rounded(score: number): number {
  return Number(score.toFixed(4));
}
