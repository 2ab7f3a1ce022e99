import { Labeller } from "./Labeller.jsx";

/** 166 MB on the first visit, then kept in the browser. */
const source = process.env.MODEL ?? "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m";

export default function Page() {
  return <Labeller source={source} />;
}
