// What holds of each page's layout: nothing moves by itself, and nothing is wider than the window.

/** For what a busy machine does slowly. */
export const LONG = { timeout: 240_000 };

export const SCREENS = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/**
 * For a page's start: `globalThis.shift` is the sum of all layout shifts that no click or key has caused, and `globalThis.moved` what has
 * moved.
 */
export function watchShifts() {
  globalThis.shift = 0;
  globalThis.moved = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      globalThis.shift += value;
      globalThis.moved.push(
        `${value.toFixed(3)}: ${sources.map(({ node }) => node?.className || node?.nodeName).join(", ")}`,
      );
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** What has moved by itself until now, or since {@link forgetShifts}, is too little to be seen. */
export async function still(page, group, name) {
  const [shift, moved] = await page.evaluate(() => [globalThis.shift, globalThis.moved]);
  group.holds(`${name}: nothing moves by itself`, shift < 0.05, `${shift}: ${moved.join("; ")}`);
  await forgetShifts(page);
}

/** What has moved until now counts no more: it was asked for, or the window has another size. */
export const forgetShifts = (page) =>
  page.evaluate(() => {
    globalThis.shift = 0;
    globalThis.moved = [];
  });

/** Pixels by which the page is wider than its window. */
export const tooWide = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
