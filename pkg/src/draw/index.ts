/**
 * Draws what was found: boxes with labels, and masks. Without wasm, and on any 2D canvas, also in a worker.
 *
 * ```ts
 * import { drawBoxes } from "ocelli/draw";
 * drawBoxes(canvas, await createImageBitmap(file), await detector.detect(file, ["a cat"]));
 * ```
 *
 * @module ocelli/draw
 */

export { drawBoxes, type BoxOptions, type DrawnBox, type DrawnRect } from "./boxes.js";
export { labelColor, type DrawCanvas, type DrawnSize, type DrawPicture } from "./canvas.js";
export { drawMask, type DrawnMask, type MaskOptions } from "./mask.js";
