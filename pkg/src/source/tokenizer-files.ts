import { keptUrl } from "./address.js";
import type { Folder } from "./folder.js";
import { Missing } from "./request.js";

/** The files of a tokenizer. If there is a tokenizer.json, no other is requested. The crate's `Folder` has the same rule. */
const TOKENIZER_FILES = ["tokenizer.json", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model"];
/** Largest file that is cached in advance. No published tokenizer is nearly as large. */
const MOST_BYTES = 64e6;

/**
 * Keeps the tokenizer's files in the cache, unread, for texts that come when there is no network. Whatever goes wrong here is met
 * again, and said, with the first text.
 *
 * @param inner The folder in this one that holds the model, with its slash; empty for this one itself.
 * @param manifest What lists the folder's files, if it has one.
 * @param expected Hears how many bytes are about to come.
 */
export async function holdTokenizer(
  folder: Folder,
  inner: string,
  manifest: Uint8Array | undefined,
  expected: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  if (!folder.cache.store) return;
  const hold = (file: string) => {
    const name = inner + file;
    const url = folder.source.url(name);
    return url === undefined || keptUrl(url) === undefined
      ? undefined
      : folder.hold(name, MOST_BYTES, expected, signal);
  };
  try {
    const listed = manifest && namesIn(manifest);
    if (listed) return void (await Promise.all(listed.map(hold)));
    const [json = "", ...others] = TOKENIZER_FILES;
    await hold(json)?.catch(async (error: unknown) => {
      if (!(error instanceof Missing)) throw error;
      await Promise.allSettled(others.map(hold));
    });
  } catch {
    // Not now.
  }
}

function namesIn(manifest: Uint8Array): string[] {
  const { files } = JSON.parse(new TextDecoder().decode(manifest)) as { files: object };
  return TOKENIZER_FILES.filter((name) => Object.hasOwn(files, name));
}
