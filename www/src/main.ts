import { registerSW } from "virtual:pwa-register";
import { render } from "lit";
import { byId } from "./parts/dom.ts";
import { notice } from "./parts/notice.ts";
import "./parts/model-status.ts";
import { route } from "./router.ts";
import { examples } from "./state/examples.ts";
import { models } from "./state/models.ts";

const trouble = byId("trouble", "div");

route(byId("page", "main"), (error) => trouble.replaceChildren(notice(error, () => location.reload())));
models.start();
// Without a database the app works, and forgets.
examples.open().catch(() => {});

// Where service workers are forbidden, all but being offline works.
const update = registerSW({
  onNeedRefresh() {
    const button = document.createElement("button");
    button.textContent = "Use it now";
    button.addEventListener("click", () => void update(true));
    render(["A new version of this app is here. ", button], byId("update", "div"));
  },
});
