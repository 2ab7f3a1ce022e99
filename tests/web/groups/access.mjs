// Private and gated repositories: who the token is sent to, where it never is, and what is said without it.
import { hubPaths, serveFaults } from "../lib/faults.mjs";
import { model, withLoading } from "../lib/loading.mjs";

const COMMIT = "d".repeat(40);
const TOKEN = "hf_theTokenOfSomebody123";
const HUB = { form: "address", folder: "hf:owner/clip" };
/** What the hub answers to whom: without a token, with a wrong one, with one that has not accepted the licence. */
const statusOf = (authorization) => {
  if (authorization === `Bearer ${TOKEN}`) return undefined;
  return authorization?.startsWith("Bearer hf_known") ? 403 : 401;
};

export async function access({ browser, server, report, fixtures }) {
  const group = report.group("access: tokens and gated repositories");
  // Tensor files are at another origin, as the hub's are.
  const cdn = await serveFaults(fixtures.model("clip"));
  await withLoading(
    { browser, server, group },
    fixtures.model("clip"),
    async ({ page, files, load }) => {
      await page.evaluate(() => {
        globalThis.posted = [];
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (message, ...rest) {
          globalThis.posted.push(JSON.stringify(message) ?? "");
          return post.call(this, message, ...rest);
        };
      });
      const base = { backend: "cpu", endpoint: files.url };
      const gated = () => {
        for (const one of [files, cdn]) one.reset();
        files.fault = ({ authorization }) => ({ status: statusOf(authorization) });
      };
      const asked = (one) => one.sent.filter(({ method }) => method !== "OPTIONS");
      const told = (one) => asked(one).filter(({ authorization }) => authorization?.includes(TOKEN));

      gated();
      const plain = await load("a folder", model(cdn.url), { backend: "cpu", cache: false });
      group.holds("a folder", plain.value, plain.message);
      for (const worker of [false, true]) {
        const name = worker ? "in a worker" : "in the page";
        const store = { store: `access ${name}` };
        gated();
        const options = { ...base, worker, cache: store, accessToken: TOKEN };
        const found = await load(name, HUB, options);
        group.same(`${name}: embeddings`, found.value?.embeddings ?? found.message, plain.value.embeddings);
        group.same(`${name}: all of the hub's requests have it`, told(files).length, asked(files).length);
        group.holds(`${name}: there were some`, told(files).length > 3, told(files).length);
        group.holds(`${name}: another origin was asked`, asked(cdn).length > 0);
        group.same(`${name}: and not told`, cdn.sent.filter(({ authorization }) => authorization).length, 0);
        group.same(
          `${name}: nor by its address`,
          cdn.sent.filter(({ path, search }) => (path + search).includes(TOKEN)),
          [],
        );
        group.same(`${name}: nothing of it is kept`, await keptWith(page, store.store, TOKEN), []);
        group.rejects(`${name}: what is kept`, await keptWith(page, store.store, "owner/clip"), []);
        const posts = await page.evaluate((token) => globalThis.posted.filter((m) => m.includes(token)).length, TOKEN);
        group.same(`${name}: how often it was posted`, posts, worker ? 1 : 0);
        // What is kept is of a commit, and read again without asking for more than the branch.
        gated();
        const again = await load(`${name}, again`, HUB, options);
        group.same(`${name}, again`, again.value?.embeddings ?? again.message, plain.value.embeddings);
        group.same(`${name}, again: requests`, asked(files).length, 1);
      }
      gated();
      const browsers = { ...base, cache: true, accessToken: TOKEN };
      group.holds("the browser's cache", (await load("the browser's cache", HUB, browsers)).value);
      group.same("the browser's cache: nothing of it is kept", await keptBy(page, TOKEN), []);
      group.rejects("the browser's cache: what is kept", await keptBy(page, "owner/clip"), []);
      gated();
      const tokens = await page.evaluate(
        (a) => loading.tokens(...a),
        [HUB, { ...base, cache: false, accessToken: TOKEN }],
      );
      group.holds("a tokenizer by itself", tokens.value?.length > 0, tokens.message);
      const own = await load("with a fetch", HUB, {
        ...base,
        cache: false,
        accessToken: TOKEN,
        authorization: "Basic x",
      });
      group.same("a fetch of the user's own has the last word", own.code, "gated");

      // The token is the hub's, and nobody else's.
      gated();
      const elsewhere = { ...base, cache: false, accessToken: TOKEN, endpoint: files.url };
      group.holds("a folder elsewhere", (await load("a folder elsewhere", model(cdn.url), elsewhere)).value);
      group.same("a folder elsewhere is not told", [told(cdn).length, asked(cdn).length > 3], [0, true]);
      const careless = { backend: "cpu", cache: false, authorization: `Bearer ${TOKEN}` };
      cdn.reset();
      await load("a careless fetch", model(cdn.url), careless);
      group.rejects("a careless fetch tells it", told(cdn).length, 0);

      // Without it, and with others.
      for (const [name, accessToken, status, words] of [
        ["no token", undefined, 401, /owner\/clip.*accept its licence.*accessToken.*host a copy/s],
        ["a wrong token", "hf_wrong", 401, /not open to this token.*accept its licence.*owner\/clip/s],
        ["a token that has not accepted", "hf_known", 403, /not open to this token.*accept its licence.*owner\/clip/s],
      ])
        for (const worker of [false, true]) {
          gated();
          const store = `access ${name}`;
          const { code, message } = await load(name, HUB, { ...base, worker, cache: { store }, accessToken });
          group.same(`${name}: code`, code ?? "no error", "gated");
          group.holds(`${name}: says what to do`, words.test(message) && message.includes(`${status}`), message);
          group.same(`${name}: does not say it`, accessToken !== undefined && message.includes(accessToken), false);
          group.same(`${name}: keeps nothing`, await page.evaluate((n) => loading.keys(n), store), []);
          group.same(`${name}: reads nothing elsewhere`, cdn.sent.length, 0);
        }
      gated();
      files.fault = () => ({ status: 404 });
      const missing = await load("no such file", HUB, { ...base, cache: false, accessToken: TOKEN });
      group.same("no such file is another code", missing.code, "not-found");
      for (const wrong of ["", "two words", "a\nb", "ключ", 7, null]) {
        gated();
        const { code, message } = await load(JSON.stringify(wrong), HUB, { ...base, cache: false, accessToken: wrong });
        group.same(`${JSON.stringify(wrong)}: code`, code ?? "no error", "bad-input");
        group.holds(`${JSON.stringify(wrong)}: which`, message?.startsWith("accessToken: expected"), message);
        group.same(
          `${JSON.stringify(wrong)}: is not written out`,
          String(wrong).length > 2 && message.includes(wrong),
          false,
        );
        group.same(`${JSON.stringify(wrong)}: nothing was asked`, files.sent.length, 0);
      }
    },
    { hub: hubPaths(() => cdn.url, { main: COMMIT }) },
  );
  cdn.close();
}

/** Keys of a store of the user's own whose key or value has these characters. */
const keptWith = (page, name, text) => page.evaluate(([name, text]) => loading.keptWith(name, text), [name, text]);

/** Where the browser keeps something with these characters: its cache's addresses, headers and bodies, and `localStorage`. */
const keptBy = (page, text) =>
  page.evaluate(async (text) => {
    const found = Object.entries({ ...localStorage }).filter((entry) => entry.join().includes(text));
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) {
        const response = await cache.match(request);
        const headers = [...request.headers, ...response.headers].flat();
        const all = [decodeURIComponent(request.url), ...headers, await response.text()];
        if (all.some((part) => part.includes(text))) found.push(request.url);
      }
    }
    return found;
  }, text);
