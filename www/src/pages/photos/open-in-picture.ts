import { pictureOf } from "../../state/picture.ts";
import { shown } from "../../state/shown.ts";

/** Goes to the page for single images, with this one on it. */
export async function openInPicture(file: File): Promise<void> {
  const picture = await pictureOf(file, file.name);
  location.hash = "#/picture";
  // A page that is new begins with an image of its own, which comes first.
  if (!shown.picture)
    await new Promise<void>((resolve) => shown.addEventListener("change", () => shown.picture && resolve()));
  shown.take(picture);
}
