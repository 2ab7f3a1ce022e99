/** The app's pages: what the address says after `#/`, the element that shows it, and how to get its code. */
const pages: Record<string, { element: string; load: () => Promise<unknown> }> = {
  classify: { element: "ocelli-classify", load: () => import("./pages/classify.ts") },
  tag: { element: "ocelli-tag", load: () => import("./pages/tag.ts") },
  search: { element: "ocelli-search", load: () => import("./pages/search.ts") },
  live: { element: "ocelli-live", load: () => import("./pages/live.ts") },
  models: { element: "ocelli-models", load: () => import("./pages/models.ts") },
};

/** Pages once shown stay, out of sight, so that one finds them as one left them. */
const shown = new Map<string, HTMLElement>();

/** Shows the page of the address, now and whenever it changes. `data-page` on the document says which one stands. */
export function route(main: HTMLElement, failed: (error: unknown) => void): void {
  const show = async () => {
    const asked = location.hash.replace(/^#\//, "");
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
    if (location.hash.replace(/^#\//, "") !== asked) return; // the user is elsewhere by now
    let page = shown.get(name);
    if (!page) shown.set(name, (page = document.createElement(element)));
    main.replaceChildren(page);
    document.documentElement.dataset["page"] = name;
    window.scrollTo(0, 0);
  };
  window.addEventListener("hashchange", () => void show());
  void show();
}
