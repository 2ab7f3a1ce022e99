import type { Ocelli } from "ocelli";
import { median } from "../../bench/figures.ts";
import { drawPictures } from "../../bench/pictures.ts";

/** One figure: the median of some runs. */
export interface Figure {
  name: string;
  /** Milliseconds for one picture or text. */
  ms: number;
  runs: number;
}

interface Trial {
  name: string;
  /** Pictures or texts in a run. */
  each: number;
  most: number;
  work(run: number): Promise<unknown>;
}

/** Of runs that take long there are fewer, but never fewer than this. */
const LEAST = 3;
const LONG_MS = 10_000;
export const SIDE = "640 × 480";

/**
 * Measures a model as pages use it: from a JPEG, and from a text, to its embedding. `progress` hears the share of runs that are done.
 *
 * @throws What the signal says.
 */
export async function measure(model: Ocelli, progress: (done: number) => void, signal: AbortSignal): Promise<Figure[]> {
  const [picture] = (await drawPictures(1)) as [Blob];
  const trials: Trial[] = [
    { name: "One image at a time", each: 1, most: 9, work: () => model.embedImage(picture, { signal }) },
    {
      name: "Eight images at a time",
      each: 8,
      most: 5,
      work: () =>
        model.embedImages(
          Array.from({ length: 8 }, () => picture),
          { signal },
        ),
    },
    { name: "A text", each: 1, most: 9, work: (run) => model.embedText(`a picture of ${run + 2} cats`, { signal }) },
  ];
  const all = trials.reduce((sum, { most }) => sum + most + 1, 0);
  const figures: Figure[] = [];
  let done = 0;
  for (const { name, each, most, work } of trials) {
    // The first run compiles shaders and makes room.
    await work(-1);
    progress(++done / all);
    const times: number[] = [];
    const start = performance.now();
    for (let run = 0; run < most; run++) {
      const before = performance.now();
      if (run >= LEAST && before - start > LONG_MS) break;
      await work(run);
      times.push(performance.now() - before);
      progress((done + times.length) / all);
    }
    done += most;
    figures.push({ name, ms: median(times) / each, runs: times.length });
  }
  return figures;
}
