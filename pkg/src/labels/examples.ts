import { OcelliError } from "../error.js";

/** All items of an iterable, which errors call `what`. @throws {OcelliError} With code `bad-input` for what is none. */
export function listOf<T>(items: Iterable<T>, what: string): T[] {
  if (typeof items === "string" || typeof items?.[Symbol.iterator] !== "function") {
    throw new OcelliError("bad-input", `${what}: expected an array or another iterable, found ${typeof items}.`);
  }
  return [...items];
}

/** What a set is calibrated with. @throws {OcelliError} With code `bad-input` for labels that are not the set's, or none at all. */
export function examplesOf<E extends { labels: readonly string[] }>(
  examples: Iterable<E>,
  names: readonly string[],
): E[] {
  const all = listOf(examples, "examples");
  all.forEach((example: E | null | undefined, i) => {
    const labels = listOf(example?.labels as E["labels"], `examples[${i}].labels`);
    const unknown = labels.find((label) => !names.includes(label));
    if (unknown !== undefined)
      throw new OcelliError(
        "bad-input",
        `examples[${i}].labels: expected labels of this set, found ${JSON.stringify(unknown)}.`,
      );
  });
  if (!all.some(({ labels }) => labels.length > 0)) {
    throw new OcelliError("bad-input", "examples: expected at least one with a label, found none.");
  }
  return all;
}
