import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Labeller } from "./Labeller.jsx";

/** 166 MB on the first visit, then kept in the browser. */
const source =
  new URLSearchParams(location.search).get("model") ?? "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m";

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Labeller source={source} />
  </StrictMode>,
);
