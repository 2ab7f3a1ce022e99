import { address } from "./state/address.ts";

interface Page {
  title: string;
  element: string;
  load: () => Promise<unknown>;
}

/** The app's pages by what the address says first, and how to get their code. */
const pages: Record<string, Page> = {
  picture: { title: "Picture", element: "ocelli-picture", load: () => import("./pages/picture.ts") },
  photos: { title: "Photos", element: "ocelli-photos", load: () => import("./pages/photos.ts") },
  live: { title: "Live", element: "ocelli-live", load: () => import("./pages/live.ts") },
  models: { title: "Models", element: "ocelli-models", load: () => import("./pages/models.ts") },
};

/** Pages once shown stay, out of sight, so that one finds them as one left them. */
const shown = new Map<string, HTMLElement>();

/** Shows the page of the address, now and whenever it changes. `data-page` on the document says which one stands. */
export function route(main: HTMLElement, failed: (error: unknown) => void): void {
  let current = "";
  const show = async () => {
    const name = address.page;
    if (!(name in pages)) return location.replace("#/");
    if (name === current) return; // the page itself sees to the rest of the address
    current = name;
    const { title, element, load } = pages[name] as Page;
    for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
      if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${title} · Ocelli`;
    try {
      await load();
    } catch (error) {
      if (current === name) current = "";
      return failed(error);
    }
    if (current !== name) return; // the user is elsewhere by now
    let page = shown.get(name);
    if (!page) shown.set(name, (page = document.createElement(element)));
    main.replaceChildren(page);
    document.documentElement.dataset["page"] = name;
    window.scrollTo(0, 0);
  };
  address.addEventListener("change", () => void show());
  void show();
}
