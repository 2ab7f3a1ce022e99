import { OcelliError } from "ocelli";
import { AddressError } from "../state/models.ts";
import { make } from "./dom.ts";

const titles: Record<string, string> = {
  "no-webgpu": "This browser can't reach your GPU",
  "insecure-context": "This page needs https",
  "bad-address": "This is not an address",
  "not-found": "The model couldn't be downloaded",
  "bad-checkpoint": "Ocelli can't read this model",
  "wrong-model": "This model is for another task",
  "bad-image": "This image can't be read",
  "bad-input": "These choices don't go together",
  "device-lost": "The GPU was reset",
  "worker-lost": "The model stopped unexpectedly",
  "gpu": "The GPU ran into an error",
  "not-finite": "The model gave no usable result",
};

/** Trying again changes nothing: another browser, address or picture does. */
const hopeless = new Set(["no-webgpu", "insecure-context", "bad-image", "bad-input", "bad-address"]);

/** A way out for each platform, as the working group's page on implementation status has it. */
const browsers: [where: string, what: string][] = [
  ["Windows", "Chrome or Edge 113, Firefox 141, or later."],
  ["Mac", "Chrome or Edge 113, Safari 26, or later; on Apple silicon also Firefox 147."],
  ["iPhone, iPad", "iOS or iPadOS 26, any browser."],
  ["Android", "Chrome 121 or later, on Android 12 or later."],
  [
    "Linux",
    "Chrome 144 or later for recent Intel graphics, 147 for NVIDIA. For others, start it with " +
      "`--enable-unsafe-webgpu --enable-features=Vulkan`. In Firefox, set `dom.webgpu.enabled` in `about:config`.",
  ],
  [
    "Still not?",
    "Switch graphics acceleration on in the browser's settings, update the graphics driver, and see what " +
      "`chrome://gpu` or `about:support` says about WebGPU.",
  ],
];

/** One sentence on the errors whose messages are for who has to mend the cause; those are folded below it. */
const sentences: Record<string, string> = {
  "not-found": "Some of its files couldn't be reached. Check the address and your connection, then try again.",
  "bad-checkpoint": "Its files are damaged, incomplete, or of a kind that Ocelli doesn't read. Try another model.",
  "wrong-model": "Choose one that can do what you want to do here.",
  "device-lost": "A driver update, a sleeping laptop or too little memory can do that. Try again.",
  "worker-lost": "Mostly its memory ran out. Close other tabs, or choose a smaller model or 8-bit weights.",
  "gpu": "Mostly its memory is full. Close other tabs, or choose a smaller model or 8-bit weights.",
  "not-finite": "Another browser or a newer graphics driver may help.",
};

/** An error in plain words: what happened, in one sentence, a way out, and what the package says about it. */
export function notice(error: unknown, retry?: () => void): HTMLElement {
  const code = error instanceof OcelliError || error instanceof AddressError ? error.code : "internal";
  const message = error instanceof Error ? error.message : String(error);
  const offline = code === "not-found" && !navigator.onLine;
  const box = make(
    "div",
    { "class": "notice", "data-code": code },
    make("h3", {}, offline ? "You're offline" : (titles[code] ?? "Something went wrong")),
  );
  const sentence = offline
    ? "This model isn't on your device yet. Connect to the internet, then try again."
    : sentences[code];
  // Why there is no adapter is a driver's prose: it helps to report, and the list of browsers helps to get on.
  if (code === "no-webgpu") box.append(...wayOut(code), make("p", { class: "small" }, message));
  else if (sentence) box.append(make("p", {}, sentence), details(message, wayOut(code)));
  else box.append(make("p", {}, message), ...wayOut(code));
  if (retry && !hopeless.has(code)) {
    const button = make("button", { type: "button" }, "Try again");
    button.addEventListener("click", retry);
    box.append(button);
  }
  return box;
}

function details(message: string, more: Node[]): HTMLElement {
  return make("details", {}, make("summary", {}, "Details"), make("p", {}, message), ...more);
}

function wayOut(code: string): Node[] {
  if (code === "no-webgpu") {
    const rows = browsers.map(([where, what]) =>
      make("div", {}, make("dt", {}, where), make("dd", {}, ...withCode(what))),
    );
    return [make("p", {}, "WebGPU is what lets a page compute on the GPU. It is in:"), make("dl", {}, ...rows)];
  }
  if (code === "insecure-context") {
    const { host, port, pathname } = location;
    const local = `http://localhost${port && `:${port}`}${pathname}`;
    return [
      make(
        "p",
        {},
        "Browsers lend the GPU to pages over https and to this machine's own pages only. Open ",
        make("code", {}, `https://${host}${pathname}`),
        " if that server speaks https, or ",
        make("code", {}, local),
        " on the machine that serves it.",
      ),
    ];
  }
  if (code === "not-found") {
    return [make("p", {}, "If the files are on another site, its server must allow other sites to read them (CORS).")];
  }
  return [];
}

/** Text with what stands between backticks set as code. */
function withCode(text: string): Node[] {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : document.createTextNode(part)));
}
