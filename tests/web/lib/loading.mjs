// What the groups about loading share: a page of their own, and what must hold after every load, however it ended.
import { serveFaults } from "./faults.mjs";

export const model = (folder) => ({ form: "address", folder });

/** Opens the page, as the server's `search` says, and a server of a model folder; `work` gets both, and a `load` that checks what must hold after each load. */
export async function withLoading({ browser, server, group }, folder, work, options) {
  const page = await browser.newPage();
  const files = await serveFaults(folder, options);
  try {
    await page.goto(`${server.url}page/loading.html${server.search}`);
    await page.waitForFunction("globalThis.loading");
    const load = async (what, source, options, abort) => {
      const result = await page.evaluate(([s, o, a]) => loading.load(s, o, a), [source, options, abort]);
      await nothingLeft(group, what, page, files);
      if (!result.code) group.same(`${what}: progress`, troubles(result.progress), []);
      return result;
    };
    await work({ page, files, load });
    group.same("errors of the server itself", files.errors, []);
  } finally {
    files.close();
    await page.close();
  }
}

/** A race of kernels that was left goes on to its end, which takes a software adapter a while. */
const MOST_MS = 90_000;

/** No buffer on the GPU and no request outlives a load. */
async function nothingLeft(group, what, page, files) {
  let left = "";
  for (const start = Date.now(); Date.now() - start < MOST_MS;) {
    const bytes = await page.evaluate(() => loading.liveBytes());
    left = `${bytes} bytes in GPU buffers, ${files.unfinished} requests`;
    if (bytes === 0 && files.unfinished === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  group.holds(`${what}: nothing is left`, false, left);
}

/** Problems of a list of reports: order, growth, phases, and the end. */
export function troubles(steps) {
  const found = [];
  const last = steps.at(-1);
  const pairs = steps.slice(1).map((step, i) => [steps[i], step]);
  if (!last || last.phase !== "ready" || last.loaded !== last.total || last.total <= 0)
    found.push(`ends at ${JSON.stringify(last)}`);
  if (pairs.some(([before, after]) => after.loaded < before.loaded)) found.push("goes back");
  if (pairs.some(([before, after]) => after.total < before.total)) found.push("its total shrinks");
  if (steps.some(({ loaded, total }) => total > 0 && loaded > total)) found.push("exceeds its total");
  if (steps.some(({ rate }) => !(rate >= 0 && rate < Infinity))) found.push("has no rate");
  const phases = steps.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]);
  if (phases.join() !== "files,weights,ready") found.push(`phases ${phases.join()}`);
  return found;
}
