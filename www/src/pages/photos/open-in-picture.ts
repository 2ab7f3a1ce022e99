import { nameOf } from "../../state/files.ts";

/** Goes to the page for single images, with this one on it. */
export async function openInPicture(file: File): Promise<void> {
  const [{ judge }, { pictureOf }] = await Promise.all([
    import("../classify/judge.ts"),
    import("../classify/picture.ts"),
  ]);
  const picture = await pictureOf(file, nameOf(file.name));
  location.hash = "#/classify";
  // A page that is new begins with an image of its own, which comes first.
  if (!judge.picture)
    await new Promise((resolve) => judge.addEventListener("change", () => judge.picture && resolve(null)));
  judge.take(picture);
}
