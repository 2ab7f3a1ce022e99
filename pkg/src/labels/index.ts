/** Sets of labels: what the rest of the package sees of them. */
export { clearLabels } from "./cache.js";
export { LabelSet } from "./label-set.js";
export { LabelSets } from "./label-sets.js";
