import type { MaskData } from "../find/plain.js";
import type { Running } from "../running.js";
import { Missing } from "../source/request.js";
import { modules } from "../wasm.js";
import type { MaskDecoder } from "../../wasm/ocelli_vlm.js";
import type { Places, Sought } from "./plain.js";

type Module = typeof modules.vlm;

/** The decoders of masks that were looked for, by the engine that they belong to. */
const decoders = new WeakMap<Running, Promise<MaskDecoder | undefined>>();

/** What an answer, in which special tokens are written out, says of where things are. */
export function placesIn(running: Running, answer: string, sought: Sought): Promise<Places> {
  const { located } = modules[running.part] as Module;
  const { labels, width, height } = sought;
  const things = located(answer, labels, width, height);
  if (!sought.masks || things.length === 0) return Promise.resolve({ things, masks: [] });
  return running.borrow(async () => {
    const decoder = await decoderOf(running);
    return { things, masks: (decoder?.masks(answer, labels, width, height) ?? []) as (MaskData | undefined)[] };
  });
}

/** None where the folder has no file of it. */
function decoderOf(running: Running): Promise<MaskDecoder | undefined> {
  const known = decoders.get(running);
  if (known) return known;
  const loaded = load(running);
  decoders.set(running, loaded);
  // The next answer asks for it again.
  loaded.catch(() => decoders.delete(running));
  return loaded;
}

async function load(running: Running): Promise<MaskDecoder | undefined> {
  const { MaskDecoder } = modules[running.part] as Module;
  const { folder } = running;
  try {
    const bytes = await folder.whole(MaskDecoder.file(), new AbortController().signal);
    const decoder = new MaskDecoder(MaskDecoder.file(), bytes);
    running.made.push(decoder);
    folder.cache.commit();
    return decoder;
  } catch (error) {
    if (error instanceof Missing) return undefined;
    throw error;
  }
}
