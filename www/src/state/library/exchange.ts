import { ImageIndex, type IndexFile } from "ocelli/index";
import { folderOf } from "../files.ts";
import { collection, type Meta } from "./collection.ts";
import { folders } from "./folders.ts";
import { indexer } from "./indexer.ts";
import { same } from "./known.ts";

/** A file of the embeddings and their paths, for NumPy and the like: see `ImageIndex.export`. */
export function exportIndex(kind: IndexFile): Blob {
  if (!collection.index) throw new Error("There is nothing to export yet.");
  return collection.index.export(kind);
}

/**
 * Adds the embeddings of such a file, also those of pictures in folders that are not here yet: previews come with the folder.
 * Returns how many were added.
 */
export async function importIndex(file: Blob): Promise<number> {
  await folders.open();
  return collection.turns.take(async () => {
    const { model } = indexer;
    if (!model || !collection.index) throw new Error("The model is still loading. Try again when it is ready.");
    const from = await ImageIndex.import<Meta>(file, { model, format: "f32", backend: "cpu" });
    const rows = from.items().flatMap(({ id: path, meta }) => {
      const known = collection.pictures.get(path);
      const record = {
        path,
        folder: folderOf(path),
        size: meta?.size ?? known?.size ?? 0,
        modified: meta?.modified ?? known?.modified ?? 0,
      };
      // A record that differs is of another state of the file.
      const takes = known ? same(known, record) && !collection.index?.has(path) : true;
      return takes ? [{ record, embedding: from.vector(path) as Float32Array }] : [];
    });
    from.dispose();
    const { modelHash } = model.info;
    const embeddings = rows.map(({ record: { path }, embedding }) => ({ path, modelHash, embedding }));
    const names = [...new Set(rows.map(({ record: { folder } }) => folder))];
    await collection.write({
      folders: names.filter((name) => !collection.hasFolder(name)).map((name) => ({ name })),
      pictures: rows.map(({ record }) => record),
      embeddings,
    });
    await collection.embedded(embeddings);
    return rows.length;
  });
}
