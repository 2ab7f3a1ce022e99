import type { Decoded } from "./decode.worker.ts";

let worker: Worker | undefined;
let asked = 0;
const waiting = new Map<number, { resolve: (made: Decoded) => void; reject: (error: Error) => void }>();

/**
 * A picture file, decoded in a worker: a preview and, if it is wanted as a `whole`, the pixels. Whoever gets these closes them.
 *
 * @throws {Error} If the browser cannot decode it.
 */
export function decode(picture: Blob, whole = false): Promise<Decoded> {
  worker ??= start();
  const id = asked++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker?.postMessage({ id, picture, whole });
  });
}

function start(): Worker {
  const started = new Worker(new URL("./decode.worker.ts", import.meta.url), { type: "module" });
  started.onmessage = ({ data: { id, made, error } }: MessageEvent<{ id: number; made?: Decoded; error?: string }>) => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (made) one?.resolve(made);
    else one?.reject(new Error(error));
  };
  started.onerror = ({ message }) => {
    worker = undefined;
    for (const { reject } of waiting.values()) reject(new Error(`The worker that decodes images failed: ${message}`));
    waiting.clear();
  };
  return started;
}
