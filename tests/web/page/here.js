// What models run on in a page, unless a test says otherwise.
const asked = new URLSearchParams(location.search);
const [backend, tier] = [asked.get("backend") ?? "webgpu", asked.get("tier") ?? "auto"];

/**
 * The tests' GPU is a software adapter, in whose place the package would take the CPU if it were asked; and its tiers take half a minute to
 * race.
 */
export const here = (options = {}) => ({ backend, tier: options.backend === "auto" ? "auto" : tier, ...options });
