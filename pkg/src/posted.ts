import { transfer, transferHandlers, type TransferHandler } from "comlink";
import { decoded } from "./pictures/image.js";
import { ready, type ReadyPicture } from "./pictures/ready.js";
import type { ImageInput } from "./types.js";

/** Errors keep their code, and which image they are about, on their way from a worker. */
export function keepErrors(): void {
  const plain = transferHandlers.get("throw") as TransferHandler<unknown, { isError: boolean; value: object }>;
  transferHandlers.set("throw", {
    ...plain,
    serialize(thrown: unknown) {
      const [posted, transferables] = plain.serialize(thrown);
      const { code, index } = ((thrown as { value?: unknown }).value ?? {}) as { code?: unknown; index?: unknown };
      if (posted.isError) Object.assign(posted.value, { code, index });
      return [posted, transferables];
    },
  });
}

/** An image in a form that a worker can take: what lives in a page becomes a bitmap, which is handed over and not copied. */
export async function postable(image: ImageInput, signal: AbortSignal | undefined): Promise<ImageInput> {
  // What is no image at all is refused by the one who would decode it.
  if (typeof image !== "object" || image === null) return image;
  const here = await ready(image, signal);
  if (!inPage(here)) return here;
  const { pixels } = await decoded(here);
  return pixels instanceof ImageBitmap ? transfer(pixels, [pixels]) : pixels;
}

/** A batch of them; with `given` the caller's own bitmaps are handed over as well. */
export async function allPostable(
  images: ImageInput[],
  signal: AbortSignal | undefined,
  given = false,
): Promise<ImageInput[]> {
  const outcomes = await Promise.allSettled(images.map((image) => postable(image, signal)));
  const ready = outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : undefined));
  const made = ready.filter(
    (picture, i): picture is ImageBitmap => picture instanceof ImageBitmap && picture !== images[i],
  );
  const index = outcomes.findIndex(({ status }) => status === "rejected");
  const bitmaps = ready.filter((picture): picture is ImageBitmap => picture instanceof ImageBitmap);
  if (index < 0) return transfer(ready as ImageInput[], given ? bitmaps : made);
  for (const bitmap of made) bitmap.close();
  throw Object.assign((outcomes[index] as PromiseRejectedResult).reason as Error, { index });
}

/** Elements cannot be posted, and a canvas only for good. */
function inPage(image: ReadyPicture): boolean {
  const isA = (name: "Blob" | "ImageData" | "ImageBitmap" | "VideoFrame") =>
    name in globalThis && image instanceof globalThis[name];
  return !(isA("Blob") || isA("ImageData") || isA("ImageBitmap") || isA("VideoFrame"));
}
