import type { Box, Detector, DetectorOptions } from "ocelli/detect";
import type { ImageInput } from "ocelli";
import type { Vlm } from "ocelli/vlm";

/** What a word found. */
export interface Framed {
  label: string;
  /** The place of its word, which has the colour. */
  index: number;
  /** None where the model gives none. */
  score?: number;
  box: Box;
}

/** What was seen in a picture, for any number of words. */
export interface Scene {
  detect(words: readonly string[], options: Wanted): Promise<Framed[]>;
}

/** What finds things in pictures by words. */
export interface Finder extends Pick<Detector, "info" | "on" | "verify" | "dispose"> {
  look(picture: Blob, options: { signal: AbortSignal }): Promise<Scene>;
  detect(picture: ImageInput, words: readonly string[], options: Wanted): Promise<Framed[]>;
}

type Wanted = Parameters<Detector["detect"]>[2] & object;

/** A detector, or Florence-2. */
export async function loadFinder(
  source: Parameters<typeof Detector.load>[0],
  options: DetectorOptions,
): Promise<Finder> {
  const { Detector } = await import("ocelli/detect");
  return Detector.load(source, options).catch(async (error: { code?: string; message: string }) => {
    // Said before its weights are fetched.
    if (error.code !== "wrong-model" || !error.message.includes(`found "florence2"`)) throw error;
    return new TaskFinder(await (await import("ocelli/vlm")).Vlm.load(source, options));
  });
}

/** Florence-2, which looks for one thing after the other. */
class TaskFinder implements Finder {
  constructor(private readonly model: Vlm) {}

  get info() {
    return this.model.info;
  }

  on(...listening: Parameters<Vlm["on"]>): () => void {
    return this.model.on(...listening);
  }

  /** The model keeps what it saw last. */
  async look(picture: Blob): Promise<Scene> {
    return { detect: (words, options) => this.detect(picture, words, options) };
  }

  async detect(picture: ImageInput, words: readonly string[], { signal }: Wanted): Promise<Framed[]> {
    const found: Framed[] = [];
    for (const [index, text] of words.entries()) {
      const { regions } = await this.model.task(picture, "open-vocabulary-detection", {
        text,
        ...(signal && { signal }),
      });
      found.push(...regions.map(({ box }) => ({ label: text, index, box })));
    }
    return found;
  }

  verify(...options: Parameters<Vlm["verify"]>) {
    return this.model.verify(...options);
  }

  dispose(): void {
    this.model.dispose();
  }
}
