// What can be seen of a page: by axe, and by people on its screenshots.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const screens = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/** Serious and critical findings of axe on a page, in words; `rules` are left out, with a reason where they are named. */
export async function axe(page, rules = []) {
  return page.evaluate(
    async ([source, rules]) => {
      // Into the page by hand: its content security policy forbids scripts from elsewhere.
      if (!globalThis.axe) (0, eval)(source);
      // A colour on its way to another one is none to judge.
      const ends = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
      await Promise.allSettled(ends.map(({ finished }) => finished));
      const disabled = Object.fromEntries(rules.map((rule) => [rule, { enabled: false }]));
      const { violations } = await globalThis.axe.run(document, { rules: disabled });
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(
          ({ id, help, nodes }) =>
            `${id}: ${help}: ${nodes
              .map(({ target }) => target.join(" "))
              .slice(0, 3)
              .join("; ")}`,
        );
    },
    [axeSource, rules],
  );
}

/** Screenshots of a page, desktop and phone, light and dark, in a folder, if one was asked for. */
export async function shots(page, name, folder) {
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  for (const [screen, viewport] of Object.entries(screens)) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(400);
      await page.screenshot({
        path: join(folder, `${name}-${screen}-${colorScheme}.png`),
        fullPage: screen === "phone",
      });
    }
  }
  await page.setViewportSize(screens.desktop);
  await page.emulateMedia({ colorScheme: "light" });
}
