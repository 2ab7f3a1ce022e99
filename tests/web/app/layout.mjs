// What holds of each page's layout: nothing moves by itself, and nothing is wider than the window.

/** For what a busy machine does slowly. */
export const LONG = { timeout: 240_000 };

export const SCREENS = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

/**
 * For a page's start: `globalThis.shift` is the page's cumulative layout shift as browsers define it, of what no click or key has caused:
 * the largest sum of shifts that follow each other within a second, for five seconds at most. `globalThis.moved` is what has moved.
 */
export function watchShifts() {
  let sum = 0;
  let first = -Infinity;
  let last = -Infinity;
  globalThis.forgetShifts = () => {
    globalThis.shift = sum = 0;
    globalThis.moved = [];
  };
  globalThis.forgetShifts();
  new PerformanceObserver((list) => {
    for (const { value, startTime, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      if (startTime - last > 1000 || startTime - first > 5000) [sum, first] = [0, startTime];
      sum += value;
      last = startTime;
      globalThis.shift = Math.max(globalThis.shift, sum);
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
export const forgetShifts = (page) => page.evaluate(() => globalThis.forgetShifts());

/** Pixels by which the page is wider than its window. */
export const tooWide = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
