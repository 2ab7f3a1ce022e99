import { registerSW } from "virtual:pwa-register";
import { make } from "./parts/dom.ts";

/**
 * Makes the app work without a network, and offers a newer version in `place` once it has been fetched. Where service workers are
 * forbidden, all but that works.
 */
export function offerUpdates(place: HTMLElement): void {
  let registration: ServiceWorkerRegistration | undefined;
  registerSW({
    onRegisteredSW: (_, found) => (registration = found),
    onNeedRefresh() {
      const button = make("button", { type: "button" }, "Update now");
      button.addEventListener("click", () => {
        button.disabled = true;
        take(registration?.waiting);
      });
      place.replaceChildren("A new version of Ocelli is ready. ", button);
    },
  });
  // An app that stays open for days would never ask.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") registration?.update().catch(() => {});
  });
}

/** Activates the new version and reloads the page. */
function take(waiting: ServiceWorker | null | undefined): void {
  if (!waiting) return location.reload(); // another tab has done it
  waiting.addEventListener("statechange", () => waiting.state === "activated" && location.reload());
  waiting.postMessage({ type: "SKIP_WAITING" });
}
