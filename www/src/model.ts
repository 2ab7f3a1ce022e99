import type { Format, Progress } from "ocelli";
import { byId, bytes } from "./dom.ts";
import { AddressError } from "./trouble.ts";

const progress = byId("progress", "div");
const bar = byId("progress-bar", "div");
const text = byId("progress-text", "p");
const spoken = byId("spoken", "p");

/** The folder that holds the model: what was typed, made absolute; a model's page on Hugging Face becomes its folder. */
export function folderUrl(typed: string): URL {
  if (!typed) throw new AddressError("Write the address of a model folder first.");
  if (!URL.canParse(typed, document.baseURI)) throw new AddressError(`“${typed}” cannot be read as one.`);
  const url = new URL(typed, document.baseURI);
  if (url.hostname === "huggingface.co") {
    const [owner, name, kind, revision, ...rest] = url.pathname.split("/").filter(Boolean);
    if (owner && name && (kind === undefined || kind === "tree" || kind === "blob")) {
      const folder = kind === "blob" ? rest.slice(0, -1) : rest;
      url.pathname = [owner, name, "resolve", revision ?? "main", ...folder].join("/");
    }
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** The weights' format by its name in the form or in the address; unknown names are left to the package's default. */
export function formatNamed(name: string | null): Format | undefined {
  return name === "none" || name === "f16" || name === "q8" || name === "q4" ? name : undefined;
}

/** Shows the one progress bar in this place. */
export function startProgress(place: HTMLElement): void {
  place.append(progress);
  showProgress({ loaded: 0, total: 0 });
  say("Loading the model");
}

export function showProgress({ loaded, total }: Pick<Progress, "loaded" | "total">): void {
  const what = "Loading the model";
  text.textContent = total > 0 ? `${what}: ${bytes(loaded)} of ${bytes(total)}` : loaded > 0 ? `${what}: ${bytes(loaded)}` : `${what} …`;
  bar.toggleAttribute("data-unknown", total <= 0);
  if (total > 0) {
    const percent = Math.min(100, Math.floor((100 * loaded) / total));
    bar.setAttribute("aria-valuenow", String(percent));
    bar.style.setProperty("--part", String(percent / 100));
    // A screen reader hears quarters, not every step.
    if (percent >= 25) say(`${what}: ${percent - (percent % 25)} percent`);
  } else {
    bar.removeAttribute("aria-valuenow");
  }
}

export function endProgress(result: string): void {
  say(result);
}

function say(words: string): void {
  if (spoken.textContent !== words) spoken.textContent = words;
}

/** The form for another model; `load` is called with an address that can be asked for. */
export function otherForm(load: (folder: URL, format: Format | undefined) => void, refuse: (error: unknown) => void): void {
  const form = byId("other", "form");
  const folder = byId("folder", "input");
  const format = byId("format", "select");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      load(folderUrl(folder.value.trim()), formatNamed(format.value));
    } catch (error) {
      folder.focus();
      refuse(error);
    }
  });
}
