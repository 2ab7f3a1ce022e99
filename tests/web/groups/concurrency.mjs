// Many calls of several kinds at once, with faults in between: each promise settles, each answer is right, and the model works on.
import { listen, workersLeft } from "../lib/browser.mjs";
import { serveFaults } from "../lib/faults.mjs";
import { watchLife } from "../lib/life.mjs";
import { largest } from "../lib/report.mjs";

const PICTURES = [{ url: "/fixtures/images/rgb-61x37.png" }, { url: "/fixtures/images/grey-50x31.png" }];
/** What each call may differ by from the same call alone: batches of other sizes sum in another order. */
const BOUND = 1e-5;
const KINDS = [
  "embedImage",
  "embedText",
  "classify",
  "embedImages",
  "labels",
  "preprocess",
  "set",
  "tokenize",
  "embedTexts",
  "embedImage",
  "classify",
  "embedText",
  "set",
  "embedImages",
  "preprocess",
  "labels",
];
/** What a browser says of files that are away, which verify and the faults ask for, and of the error that is made on purpose. */
const PROVOKED = /Failed to load resource|Buffer usages must not be 0/;

const LOST = ["device-lost"];
const STORMS = [
  { what: "nothing", how: {}, codes: [] },
  { what: "a lost device at once", how: { fault: "destroy" }, codes: LOST },
  { what: "a lost device after 1 submit", how: { fault: "destroy", submit: 1 }, codes: LOST },
  { what: "a lost device after 7 submits", how: { fault: "destroy", submit: 7 }, codes: LOST },
  { what: "a lost device after 30 submits", how: { fault: "destroy", submit: 30 }, codes: LOST },
  { what: "a lost device, and verify", how: { fault: "destroy", submit: 60 }, codes: LOST, more: ["verify"] },
  { what: "an error after 3 submits", how: { fault: "complain", submit: 3 }, codes: ["gpu"] },
  { what: "signals at once", how: { abort: true }, codes: ["aborted"] },
  { what: "signals after 5 submits", how: { abort: true, submit: 5 }, codes: ["aborted"] },
  { what: "signals and a lost device", how: { abort: true, fault: "destroy", submit: 5 }, codes: ["aborted", ...LOST] },
  {
    what: "a restore that fails once",
    how: { fault: "destroy", submit: 4 },
    codes: ["not-found"],
    away: { status: 404 },
  },
  { what: "a server in trouble once", how: { fault: "destroy", submit: 4 }, codes: LOST, away: { status: 500 } },
];

export async function concurrency(test) {
  const files = await serveFaults(test.fixtures.model("siglip"));
  const page = await test.browser.newPage();
  const complaints = listen(page);
  await page.addInitScript(watchLife);
  await page.goto(test.server.page);
  const group = test.report.group("many calls at once, with faults", largest, BOUND);
  const here = { ...test, files, page, group };
  try {
    for (const backend of ["webgpu", "cpu"]) await storms({ ...here, backend });
    await inWorker(here);
    const beside = complaints.filter((line) => !PROVOKED.test(line));
    group.holds("the page complains of nothing else", beside.length === 0, beside.join("; "));
  } finally {
    files.close();
    await page.close();
  }
}

async function storms({ page, files, group, backend }) {
  await load(page, files, { backend });
  const expected = await alone(page);
  const storm = (kinds, how) => page.evaluate((args) => web.storm(...args), ["m", kinds, PICTURES, how]);
  const live = () => page.evaluate(() => life.live);
  await storm(KINDS, {});
  const before = await live();
  for (const { what, how, codes, more = [], away } of backend === "cpu" ? STORMS.filter(sansDevice) : STORMS) {
    files.reset();
    if (away) files.fault = ({ name, count }) => (name === "config.json" && count === 1 ? away : {});
    const outcomes = await storm([...more, ...KINDS], how);
    judge(group, `${backend}: ${what}`, outcomes, expected, codes);
    files.reset();
    // Two calls may have failed with the restore; then all is well again.
    const after = await storm(KINDS, {});
    judge(group, `${backend}: after ${what}`, after, expected, []);
    const now = await live();
    group.holds(`${backend}: buffers after ${what}`, now <= before, `${now}, before ${before}`);
  }
  const last = await storm(KINDS, { dispose: true, submit: backend === "cpu" ? 0 : 5 });
  judge(group, `${backend}: a disposal`, last, expected, ["disposed"]);
  const late = await storm(["embedImage", "tokenize"], {});
  group.holds(
    `${backend}: after the disposal`,
    late.every(({ code }) => code === "disposed"),
    JSON.stringify(late),
  );
  const left = await page.evaluate(() => `${life.live} buffers, ${life.devices.length - life.destroyed} devices`);
  group.holds(`${backend}: nothing is left`, left === "0 buffers, 0 devices", left);
  group.rejects("another picture's numbers", expected.embedImage, [...expected.embedImage].reverse());
}

const sansDevice = ({ how }) => !how.fault && !how.submit;

/** A worker that dies in a storm. */
async function inWorker({ page, files, group }) {
  await load(page, files, { worker: true, backend: "webgpu" });
  const expected = await alone(page);
  const storm = (how) => page.evaluate((args) => web.storm(...args), ["m", KINDS, PICTURES, how]);
  for (const round of [1, 2]) {
    judge(group, `a worker that dies, ${round}`, await storm({ fault: "terminate" }), expected, ["worker-lost"]);
    judge(group, `after a worker that died, ${round}`, await storm({}), expected, []);
  }
  judge(group, "a worker's disposal", await storm({ dispose: true }), expected, ["disposed"]);
  await page.evaluate(() => web.dispose("m"));
  group.holds("no worker is left", (await workersLeft(page)) === 0);
}

async function load(page, files, options) {
  files.reset();
  await page.evaluate(([f, o]) => web.load("m", f, o), [files.url, options]);
  await page.evaluate(() => web.labels("m", "m", ["a cat", "a dog", "a red square"], {}));
}

/** What each kind of call answers when it is alone. */
async function alone(page) {
  const answers = { verify: [1] };
  for (const kind of new Set(KINDS)) {
    const [{ value, code, message }] = await page.evaluate((args) => web.storm(...args), ["m", [kind], PICTURES, {}]);
    if (code) throw new Error(`${kind}: ${code}: ${message}`);
    answers[kind] = value;
  }
  return answers;
}

function judge(group, what, outcomes, expected, codes) {
  for (const [i, { kind, value, code, message }] of outcomes.entries()) {
    if (code) group.holds(`${what}: ${i}, ${kind}`, codes.includes(code), `${code}: ${message}`);
    else group.same(`${what}: ${i}, ${kind}`, value, expected[kind]);
  }
}
