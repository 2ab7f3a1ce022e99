import type { FolderRecord } from "../../state/db.ts";
import { folderOf } from "../../state/files.ts";

/** What came of files that were to be written. */
export interface Written {
  written: number;
  /** Some file of that name was there, which may hold others' work: it stays as it is. */
  there: number;
  /** Their folder cannot be written to, or the user does not allow it. */
  refused: number;
}

/** Whether the user lets this page write into a folder; must be called from a click. */
async function writable(handle: FileSystemDirectoryHandle): Promise<boolean> {
  // TypeScript's DOM does not know permissions of handles yet.
  const { requestPermission } = handle as unknown as { requestPermission?: (how: object) => Promise<string> };
  return !requestPermission || (await requestPermission.call(handle, { mode: "readwrite" })) === "granted";
}

/** Writes text files to where their paths say, in folders that the browser can reach again. Nothing is ever overwritten. */
export async function writeBeside(
  files: readonly { path: string; text: string }[],
  folders: readonly FolderRecord[],
  signal: AbortSignal,
  told: (done: number) => void,
): Promise<Written> {
  const sum: Written = { written: 0, there: 0, refused: 0 };
  const roots = new Map<string, FileSystemDirectoryHandle>();
  const wanted = new Set(files.map(({ path }) => folderOf(path)));
  for (const { name, handle } of folders)
    if (handle && wanted.has(name) && (await writable(handle).catch(() => false))) roots.set(name, handle);
  for (const [i, { path, text }] of files.entries()) {
    signal.throwIfAborted();
    sum[await write(path, text, roots)]++;
    told(i + 1);
  }
  return sum;
}

async function write(
  path: string,
  text: string,
  roots: ReadonlyMap<string, FileSystemDirectoryHandle>,
): Promise<keyof Written> {
  const [root = "", ...way] = path.split("/");
  const name = way.pop();
  let folder = roots.get(root);
  if (!folder || !name) return "refused";
  try {
    for (const part of way) folder = await folder.getDirectoryHandle(part);
    const there = await folder.getFileHandle(name).then(
      () => true,
      () => false,
    );
    if (there) return "there";
    const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await stream.write(text);
    await stream.close();
    return "written";
  } catch {
    return "refused";
  }
}
