import type { Choice } from "../state/models.ts";

/** The code for an app of one's own: how a class of the package is loaded with the model in use, and what is then asked of it. */
export function codeFor(name: string, from: string, { source, format }: Choice, asked: readonly string[]): string {
  const url = typeof source === "string" && URL.canParse(source) ? new URL(source) : undefined;
  // A folder of this app is one of the other app's own, too.
  const address =
    url?.origin === location.origin ? url.pathname : typeof source === "string" ? source : "/models/your-model/";
  const options = [format && `format: ${JSON.stringify(format)}`, "worker: true"].filter(Boolean).join(", ");
  return [
    `import { ${name} } from ${JSON.stringify(from)};`,
    "",
    `const model = await ${name}.load(${JSON.stringify(address)}, { ${options} });`,
    ...asked,
  ].join("\n");
}

/** A list of words as code. */
export function wordsAsCode(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(", ")}]`;
}

/** The address of a tool with what it was asked. */
export function linkTo(tool: string, params: Record<string, string>): string {
  const query = new URLSearchParams(params).toString();
  return `#/picture/${tool}${query && `?${query}`}`;
}
