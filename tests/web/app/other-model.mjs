// A model that the catalogue doesn't have.
import { forgetShifts, LONG } from "./layout.mjs";

/** Loads a model by its name on the page Models, and opens the tool that uses it. `before` tools have the same model already. */
export async function takesOther(page, name, tool, before = 0) {
  await page.evaluate((tool) => (location.hash = `#/models/${tool}`), tool);
  const address = page.getByRole("textbox", { name: "Address" });
  await address.fill(name);
  await address.press("Enter");
  await page
    .getByRole("button", { name: `Unload ${name}` })
    .nth(before)
    .waitFor(LONG);
  await page.evaluate((tool) => (location.hash = `#/picture/${tool}`), tool);
  await forgetShifts(page);
}
