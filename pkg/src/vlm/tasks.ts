import type { CallOptions } from "../types.js";
import type { Point } from "../find/outline.js";
import type { Box } from "../find/types.js";
import type { TokenEvent, Written } from "./types.js";

/** What each task of Florence-2 answers. */
export interface TaskAnswers {
  /** A caption. */
  "caption": Written;
  /** A longer one. */
  "detailed-caption": Written;
  /** A paragraph. */
  "more-detailed-caption": Written;
  /** Boxes of things, with names. */
  "object-detection": Regions<Region>;
  /** Boxes of regions, with captions. */
  "dense-region-caption": Regions<Region>;
  /** Boxes alone: their labels are empty. */
  "region-proposal": Regions<Region>;
  /** Boxes for the phrases of a caption. */
  "phrase-grounding": Regions<Region>;
  /** Boxes of what is named; polygons where the model writes some. */
  "open-vocabulary-detection": Regions<BoxOrPolygons>;
  /** Polygons of what is named. */
  "referring-segmentation": Regions<PolygonRegion>;
  /** Polygons of what is in a box. */
  "region-to-segmentation": Regions<PolygonRegion>;
  /** A name of what is in a box. */
  "region-to-category": Written;
  /** A caption of what is in a box. */
  "region-to-description": Written;
  /** The text in a box. */
  "region-to-ocr": Written;
  /** The text in an image. */
  "ocr": Written;
  /** Pieces of it, each with its four corners. */
  "ocr-with-region": Regions<QuadRegion>;
}

/** A task of Florence-2 by name. */
export type VisionTask = keyof TaskAnswers;

/** What comes with the tasks that take something. */
export interface TaskInputs {
  /** The caption whose phrases are located. */
  "phrase-grounding": OneText;
  /** What is looked for: one thing. */
  "open-vocabulary-detection": OneText;
  /** Likewise. */
  "referring-segmentation": OneText;
  /** Where it is. */
  "region-to-segmentation": OneBox;
  /** Likewise. */
  "region-to-category": OneBox;
  /** Likewise. */
  "region-to-description": OneBox;
  /** Likewise. */
  "region-to-ocr": OneBox;
}

/** Words that come with a task. */
export interface OneText {
  /** The words. */
  text: string;
}

/** A place that comes with a task. */
export interface OneBox {
  /** In pixels of the upright image. The model is told a thousand places along each side. */
  box: Box;
}

/** How a task is answered. */
export interface TaskOptions extends CallOptions {
  /** Most tokens of an answer: about 5 a box, 9 a piece of text, 2 a corner. Default 1024, or as many as there is room for. */
  maxTokens?: number;
  /** Texts that go on side by side in a search for the likeliest one: see `WriteOptions.beams`. Default: as the model's files say, 3. */
  beams?: number;
  /** With `beams: 1`: told each token; must be quick. */
  onToken?: (token: TokenEvent) => void;
}

/** What `Vlm.task` takes behind the task. */
export type TaskArguments<T extends VisionTask> = T extends keyof TaskInputs
  ? [options: TaskInputs[T] & TaskOptions]
  : [options?: TaskOptions];

/** Parts of an image, in the order in which they were written, and what the text took. There are no scores: the model writes none. */
export interface Regions<R extends Region> extends Omit<Written, "text" | "choices"> {
  /** The parts. What is broken in an answer is left out. */
  regions: R[];
}

/** A part of an image, and what the model says of it. */
export interface Region {
  /** What it is; empty where nothing is said. */
  label: string;
  /** Where it is, or the smallest box around it: in whole pixels of the upright image. */
  box: Box;
}

/** One with four corners. */
export interface QuadRegion extends Region {
  /** From the upper left one of the writing on, clockwise. */
  quad: [Point, Point, Point, Point];
}

/** One with outlines. */
export interface PolygonRegion extends Region {
  /** The corners of each outline; the last is joined to the first. */
  polygons: Point[][];
}

/** One with outlines or without. */
export interface BoxOrPolygons extends Region {
  /** As in {@link PolygonRegion}, where the model writes some. */
  polygons?: Point[][];
}
