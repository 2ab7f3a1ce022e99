import { OcelliError } from "../error.js";
import { Mask } from "../find/mask.js";
import type { ImageInput } from "../types.js";
import type { PromptRequest } from "./plain.js";
import type { Located, LocatedMask, LocateOptions } from "./types.js";
import type { Writer } from "./writer.js";

/** Most tokens of an answer: a hundred boxes, or forty masks. A model that does not know what it was asked may never end. */
const MOST = 1024;

/** Boxes around things. */
export async function detect(
  writer: Writer,
  image: ImageInput,
  given: string | readonly string[],
  options: LocateOptions,
): Promise<Located[]> {
  const labels = labelsOf(given);
  const found = await locate(writer, image, { detect: labels }, labels, false, options);
  return found.map(({ label, index, box }) => ({ label, index, box }));
}

/** Masks of things, one question for each. */
export async function segment(
  writer: Writer,
  image: ImageInput,
  given: string | readonly string[],
  options: LocateOptions,
): Promise<LocatedMask[]> {
  const all: LocatedMask[] = [];
  for (const [index, label] of labelsOf(given).entries()) {
    const found = await locate(writer, image, { segment: label }, [label], true, options);
    all.push(...found.map((one) => ({ ...one, index })));
  }
  return all;
}

async function locate(
  writer: Writer,
  image: ImageInput,
  request: PromptRequest,
  labels: string[],
  masks: boolean,
  { maxTokens = MOST, ...options }: LocateOptions,
): Promise<LocatedMask[]> {
  const how = { ...options, maxTokens, specialTokens: true };
  const [{ text }, sizes] = await writer.writeSeeing(
    () => ({ request, images: [image] }),
    how,
    () => {},
  );
  const [width, height] = sizes[0] as [number, number];
  const places = await writer.model.call(options, (core) => core.places(text, { labels, width, height, masks }));
  return Array.from({ length: places.things.length / 5 }, (_, at) => {
    const [index, x, y, w, h] = places.things.subarray(5 * at, 5 * at + 5) as unknown as Five;
    const label = labels[index] as string;
    const data = places.masks[at];
    return {
      label,
      index,
      box: { x, y, width: w, height: h },
      mask: data ? new Mask(data, label, index, false) : null,
    };
  });
}

type Five = [number, number, number, number, number];

/** The engine says which of them cannot be. */
function labelsOf(given: unknown): string[] {
  const labels: unknown[] = Array.isArray(given) ? given : [given];
  const other = labels.find((label) => typeof label !== "string");
  if (other !== undefined || labels.length === 0)
    throw new OcelliError(
      "bad-input",
      `labels: expected a text or a list of texts, found ${labels.length === 0 ? "none" : typeof other}.`,
    );
  return labels as string[];
}
