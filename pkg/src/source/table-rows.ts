import { OcelliError } from "../error.js";
import type { Folder } from "./folder.js";
import { Missing } from "./request.js";
import { sideBySide } from "../side-by-side.js";
import type { Engine } from "../../wasm/ocelli.js";

/** Rows that are fetched side by side. */
const AT_ONCE = 8;

/** Fetches the rows of the token table that these token ids need and that are not here. */
export async function fetchRows(engine: Engine, ids: Uint32Array, folder: Folder): Promise<void> {
  const flat = engine.missingRows(ids);
  if (flat.length === 0) return;
  const rows = new Map<number, [number, number, number][]>();
  for (let at = 0; at < flat.length; at += 4) {
    const [row, file, start, end] = flat.subarray(at, at + 4) as unknown as [number, number, number, number];
    rows.set(row, [...(rows.get(row) ?? []), [file, start, end]]);
  }
  const names = engine.files();
  const stop = new AbortController();
  try {
    await sideBySide([...rows], AT_ONCE, async ([row, places]) => {
      const parts = await Promise.all(
        places.map(([file, start, end]) => folder.part(names[file] as string, start, end, stop.signal)),
      );
      engine.putRow(row, new Uint8Array(await new Blob(parts).arrayBuffer()));
    });
  } catch (error) {
    stop.abort();
    if (error instanceof Missing)
      throw new OcelliError(
        "not-found",
        `${folder.label}: the token table's file: found ${error.why}. Load the model again.`,
        { cause: error },
      );
    throw error;
  }
}
