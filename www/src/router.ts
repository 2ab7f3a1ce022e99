/** The app's pages: what the address says after `#/`, the element that shows it, and how to get its code. */
const pages: Record<string, { element: string; load: () => Promise<unknown> }> = {
  classify: { element: "ocelli-classify", load: () => import("./pages/classify.ts") },
  photos: { element: "ocelli-photos", load: () => import("./pages/photos.ts") },
  live: { element: "ocelli-live", load: () => import("./pages/live.ts") },
  models: { element: "ocelli-models", load: () => import("./pages/models.ts") },
};

/** Names that pages had in earlier versions, in people's bookmarks. */
const renamed: Record<string, string> = { tag: "photos", search: "photos" };

/** Pages once shown stay, out of sight, so that one finds them as one left them. */
const shown = new Map<string, HTMLElement>();

/** The page's name in `#/name?…`; what follows it is the page's own. */
function named(hash: string): string {
  const name = hash.replace(/^#\//, "").split("?")[0] as string;
  return renamed[name] ?? name;
}

/** Shows the page of the address, now and whenever it changes. `data-page` on the document says which one stands. */
export function route(main: HTMLElement, failed: (error: unknown) => void): void {
  const show = async () => {
    const asked = named(location.hash);
    const name = asked in pages ? asked : "classify";
    const { element, load } = pages[name] as (typeof pages)[string];
    for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
      const here = link.hash === `#/${name}`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (here) document.title = `${link.textContent.trim()} · Ocelli`;
    }
    try {
      await load();
    } catch (error) {
      return failed(error);
    }
    if (named(location.hash) !== asked) return; // the user is elsewhere by now
    let page = shown.get(name);
    if (!page) shown.set(name, (page = document.createElement(element)));
    main.replaceChildren(page);
    document.documentElement.dataset["page"] = name;
    window.scrollTo(0, 0);
  };
  window.addEventListener("hashchange", () => void show());
  void show();
}
