import { Ocelli, type Format, type ImageInput } from "ocelli";
import { Asker } from "./asker.ts";
import { byId } from "./dom.ts";
import { showFacts, type Runs } from "./facts.ts";
import { questionForm, readQuestion, shownScore } from "./labels.ts";
import { endProgress, folderUrl, formatNamed, otherForm, showProgress, startProgress } from "./model.ts";
import { pictureArea } from "./picture.ts";
import { clearAnswer, showAnswer, showWaiting } from "./results.ts";
import { notice } from "./trouble.ts";

const builtIn = folderUrl("models/ocelli-tiny/");
const firstPlace = byId("loading", "div");
const noticePlace = byId("notice", "div");
const otherNotice = byId("other-notice", "div");

let model: Ocelli | undefined;
let folder = builtIn;
let format: Format | undefined;
let image: ImageInput | undefined;
let runs: Runs = { first: undefined, last: undefined };

// ── State, for the style sheet and for whoever checks the page ──────────────────────────────────────────────────────────────

let loading: AbortController | undefined;
let settled: "ready" | "running" | "done" | "error" = "ready";

/** A load in progress outshines the rest; when it ends, the page is again what it was. */
function paint(next = settled): void {
  settled = next;
  document.documentElement.dataset["state"] = loading ? "loading" : settled;
}

// ── Asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const asker = new Asker({
  answered({ model, question }, answer, milliseconds) {
    runs = { first: runs.first ?? milliseconds, last: milliseconds };
    noticePlace.replaceChildren();
    showAnswer(answer, question, shownScore(question.score, model.info));
    showFacts(model.info, runs);
    paint("done");
  },
  failed(_, error) {
    clearAnswer("");
    noticePlace.replaceChildren(notice(error, () => void load(folder, format, firstPlace)));
    paint("error");
  },
});

let waiting = 0;

/** Asks the question as it stands, after a pause while someone is typing. The answer on the page is old from now on. */
function ask(pause = 0): void {
  clearTimeout(waiting);
  asker.forget();
  const question = readQuestion();
  if (!model && loading) showWaiting(question?.labels ?? []);
  if (!model || !image) return;
  if (!question) {
    clearAnswer("");
    return paint("ready");
  }
  paint("running");
  const next = { model, image, question };
  waiting = window.setTimeout(() => asker.ask(next), pause);
}

// ── Loading ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Loads a model beside the one in use, and lets that one go only when the new one stands. */
async function load(from: URL, as: Format | undefined, place: HTMLElement): Promise<void> {
  loading?.abort();
  const mine = (loading = new AbortController());
  const report = place === firstPlace ? noticePlace : otherNotice;
  if (report.contains(document.activeElement)) place.focus(); // "Try again" is about to vanish under the user's finger
  report.replaceChildren();
  startProgress(place);
  paint();
  if (!model) ask();
  try {
    const next = await Ocelli.load(from, { onProgress: showProgress, signal: mine.signal, ...(as && { format: as }) });
    if (loading !== mine) return next.dispose();
    loading = undefined;
    endProgress("The model is ready");
    await take(next, from, as);
  } catch (error) {
    if (loading !== mine) return; // another load has taken over
    loading = undefined;
    endProgress("The model could not be loaded");
    report.replaceChildren(notice(error, () => void load(from, as, place)));
    if (!model) clearAnswer("");
    paint(model ? settled : "error");
  }
}

async function take(next: Ocelli, from: URL, as: Format | undefined): Promise<void> {
  const before = model;
  model = next;
  folder = from;
  format = as;
  runs = { first: undefined, last: undefined };
  noticePlace.replaceChildren();
  otherNotice.replaceChildren();
  showFacts(next.info, runs);
  byId("knows", "div").hidden = from.href !== builtIn.href;
  paint("ready");
  ask();
  await asker.idle();
  before?.dispose();
}

// ── Start ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

questionForm((typing) => ask(typing ? 300 : 0));
readQuestion();
const showFirstSample = pictureArea((picked) => {
  image = picked;
  ask();
});
otherForm(
  (from, as) => void load(from, as, byId("other-loading", "div")),
  (error) => otherNotice.replaceChildren(notice(error)),
);

showFirstSample();
const address = new URLSearchParams(location.search);
try {
  void load(folderUrl(address.get("model") ?? builtIn.href), formatNamed(address.get("format")), firstPlace);
} catch (error) {
  noticePlace.replaceChildren(notice(error)); // ?model= holds no address
  paint("error");
}
