import { OcelliError } from "../error.js";
import type { Point } from "../find/outline.js";
import type { Box } from "../find/types.js";
import type { ImageInput } from "../types.js";
import type { PlainRegion } from "./plain.js";
import type { PolygonRegion, QuadRegion, Region, TaskAnswers, TaskInputs, TaskOptions, VisionTask } from "./tasks.js";
import type { Writer } from "./writer.js";

/** Most tokens of an answer: as many as Florence-2 has room for. */
const MOST = 1024;

type InputOf<T extends VisionTask> = T extends keyof TaskInputs ? keyof TaskInputs[T] : "nothing";

/** What comes with each task, and whether it is answered in words alone. */
const TASKS: { readonly [T in VisionTask]: readonly [InputOf<T>, boolean] } = {
  "caption": ["nothing", true],
  "detailed-caption": ["nothing", true],
  "more-detailed-caption": ["nothing", true],
  "object-detection": ["nothing", false],
  "dense-region-caption": ["nothing", false],
  "region-proposal": ["nothing", false],
  "phrase-grounding": ["text", false],
  "open-vocabulary-detection": ["text", false],
  "referring-segmentation": ["text", false],
  "region-to-segmentation": ["box", false],
  "region-to-category": ["box", true],
  "region-to-description": ["box", true],
  "region-to-ocr": ["box", true],
  "ocr": ["nothing", true],
  "ocr-with-region": ["nothing", false],
};

/** Asks one of Florence-2's tasks. */
export async function task<T extends VisionTask>(
  writer: Writer,
  image: ImageInput,
  name: T,
  given: Given = {},
): Promise<TaskAnswers[T]> {
  const { text: _text, box: _box, maxTokens = MOST, ...options } = given;
  const inWords = Object.hasOwn(TASKS, name) && TASKS[name][1];
  const [{ text, ...written }, sizes] = await writer.writeSeeing(
    () => ({ request: { task: name, ...inputOf(name, given) }, images: [image] }),
    { ...options, maxTokens, specialTokens: !inWords },
    () => {},
  );
  const [width, height] = sizes[0] as [number, number];
  const answer = await writer.model.call(options, (core) => core.answered(name, text, width, height));
  const whole = "text" in answer ? answer : { regions: answer.regions.flatMap(regionOf) };
  return { ...whole, ...written } as TaskAnswers[T];
}

type Given = TaskOptions & { text?: unknown; box?: unknown };

/** What comes with a task, and nothing else. @throws {OcelliError} With code `bad-input`. */
function inputOf(name: VisionTask, { text, box }: Given): { text: string | undefined; box: Box | undefined } {
  const check = (what: string, expected: string, found: unknown, sound: boolean) => {
    if (sound) return;
    const shown = JSON.stringify(found) ?? "none";
    throw new OcelliError("bad-input", `${what}: expected ${expected}, found ${shown}.`);
  };
  check("task", `one of ${Object.keys(TASKS).join(", ")}`, name, Object.hasOwn(TASKS, name));
  const [input] = TASKS[name];
  if (input === "text")
    check("text", `words, which come with ${name}`, text, typeof text === "string" && text.trim() !== "");
  else check("text", `none with ${name}`, text, text === undefined);
  if (input === "box") check("box", `x, y, width and height in pixels, which come with ${name}`, box, isBox(box));
  else check("box", `none with ${name}`, box, box === undefined);
  return { text: text as string | undefined, box: box as Box | undefined };
}

function isBox(given: unknown): given is Box {
  const { x, y, width, height } = (given ?? {}) as Partial<Record<keyof Box, unknown>>;
  const sides = [x, y, width, height] as number[];
  return sides.every(Number.isFinite) && sides[2]! > 0 && sides[3]! > 0;
}

/** None of a region without corners, which is nowhere. */
function regionOf({ label, box, quad, polygons }: PlainRegion): (Region | QuadRegion | PolygonRegion)[] {
  if (!box) return [];
  const region = { label, box };
  if (quad) return [{ ...region, quad: pointsOf(quad) as QuadRegion["quad"] }];
  return [polygons ? { ...region, polygons: polygons.map(pointsOf) } : region];
}

function pointsOf(numbers: number[]): Point[] {
  return Array.from({ length: numbers.length / 2 }, (_, at) => numbers.slice(2 * at, 2 * at + 2) as Point);
}
