import { OcelliError } from "ocelli";
import { AddressError } from "../state/models.ts";
import { make } from "./dom.ts";

const titles: Record<string, string> = {
  "no-webgpu": "This browser does not reach your GPU",
  "insecure-context": "This page needs https",
  "bad-address": "This is not an address",
  "not-found": "The model's files are not there",
  "bad-checkpoint": "These files are not a model that Ocelli can read",
  "wrong-model": "This model is neither a CLIP nor a SigLIP",
  "bad-image": "This picture cannot be read",
  "bad-input": "This does not go together",
  "device-lost": "The GPU was taken away",
  "worker-lost": "The model's worker ended",
  "gpu": "The GPU refused",
  "not-finite": "The model gave no numbers",
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

/** An error in plain words: what happened, what the package says about it, and a way out. */
export function notice(error: unknown, retry?: () => void): HTMLElement {
  const code = error instanceof OcelliError || error instanceof AddressError ? error.code : "internal";
  const message = error instanceof Error ? error.message : String(error);
  const box = make(
    "div",
    { "class": "notice", "data-code": code },
    make("h3", {}, titles[code] ?? "Something went wrong"),
  );
  // Why there is no adapter is a driver's prose: it helps to report, and the list of browsers helps to get on.
  if (code === "no-webgpu") box.append(...wayOut(code), make("p", { class: "small" }, message));
  else box.append(make("p", {}, message), ...wayOut(code));
  if (retry && !hopeless.has(code)) {
    const button = make("button", { type: "button" }, "Try again");
    button.addEventListener("click", retry);
    box.append(button);
  }
  return box;
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
    return [make("p", {}, "If the folder is on another site, that server must let other sites read it (CORS).")];
  }
  if (code === "gpu")
    return [make("p", {}, "Mostly its memory is full: close other tabs, or load the model with 8-bit weights.")];
  if (code === "device-lost")
    return [make("p", {}, "A driver update, a sleeping laptop or too little memory can do that.")];
  return [];
}

/** Text with what stands between backticks set as code. */
function withCode(text: string): Node[] {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : document.createTextNode(part)));
}
