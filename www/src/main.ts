import { byId } from "./parts/dom.ts";
import { notice } from "./parts/notice.ts";
import "./parts/install-button.ts";
import "./parts/model-chip.ts";
import "./parts/model-status.ts";
import "./parts/switch-dialog.ts";
import { route } from "./router.ts";
import { examples } from "./state/examples.ts";
import { startModels } from "./state/models.ts";
import { offerUpdates } from "./update.ts";

const trouble = byId("trouble", "div");

route(byId("page", "main"), (error) => trouble.replaceChildren(notice(error, () => location.reload())));
startModels();
// Without a database the app works, and forgets.
examples.open().catch(() => {});
offerUpdates(byId("update", "div"));
