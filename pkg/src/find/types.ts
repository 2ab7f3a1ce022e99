import type { CallOptions, ImageInput, LoadOptions, FindLoadOptions } from "../types.js";
import type { LookedAt } from "./looked-at.js";
import type { MaskSize } from "./plain.js";

/** An upright rectangle: in pixels of the upright image, or in shares of its sides. */
export interface Box {
  /** Left edge. */
  x: number;
  /** Upper edge; y grows downwards. */
  y: number;
  /** From the left edge to the right one. */
  width: number;
  /** From the upper edge to the lower one. */
  height: number;
}

/** A thing that was found. */
export interface Detection {
  /** What it is, as given. */
  label: string;
  /** Place of the label in {@link QuerySet.labels}. */
  index: number;
  /** The sigmoid of `logit`, 0 to 1. */
  score: number;
  /** As the model gives it; it orders what is equal as a score. */
  logit: number;
  /** Which of the model's patches has found it: row by row, from 0. */
  token: number;
  /** Where it is: in pixels of the upright image, or in shares of its sides if that was asked for. */
  box: Box;
}

/** The words around each text, with `{}` where the label goes. */
export interface TemplateOptions {
  /**
   * Sentences, over whose answers the mean is taken: `ocelli/templates` has sets of them. Default: the label as it is.
   */
  templates?: string | readonly string[];
  /** The same for one sentence: `"a photo of a {}."`. */
  template?: string;
  /** Whether embeddings of texts are kept in the browser's cache and looked for there, as those of `LabelOptions.cache`. Default true. */
  cache?: boolean;
}

/** What {@link Detector.queries} takes. */
export interface QueryOptions extends TemplateOptions, CallOptions {
  /** By label: the score, 0 to 1, above which it is found, in place of {@link FindOptions.threshold}. */
  thresholds?: Record<string, number>;
}

/** Which detections are wanted. */
export interface FindOptions extends CallOptions {
  /** Scores must be above it, 0 to 1. Default 0.1. */
  threshold?: number;
  /**
   * Non-maximum suppression: a box that overlaps a better one by a larger intersection over union than this, 0 to 1, is left out. Default:
   * nothing is left out.
   */
  nms?: number;
  /** Return only so many, best first. Default: all. */
  topK?: number;
  /** Whether boxes end at the image's edges. Default true. */
  clip?: boolean;
  /** Whether boxes are shares of the image's sides, 0 to 1, not pixels. Default false. */
  normalized?: boolean;
  /** Whether one patch may find several labels; otherwise only the one that fits best. Default false. */
  multiLabel?: boolean;
}

/** What {@link Detector.detect} takes. */
export interface DetectOptions extends FindOptions, TemplateOptions {}

/** Something that may be an object, whatever it is. */
export interface Proposal {
  /** How likely it is one: the sigmoid of `logit`, 0 to 1. */
  score: number;
  /** As the model gives it; it orders what is equal as a score. */
  logit: number;
  /** Which of the model's patches has found it: row by row, from 0. */
  token: number;
  /** Where it is: in pixels of the upright image, or in shares of its sides if that was asked for. */
  box: Box;
}

/** What {@link DetectorScene.objects} takes. */
export interface ObjectOptions extends Omit<FindOptions, "threshold" | "multiLabel"> {
  /** Scores must be above it, 0 to 1. Default 0: every patch has a box, so {@link FindOptions.topK} says how many. */
  threshold?: number;
}

/** What to look for by words. */
export interface TextQuery {
  /** What detections are called. */
  label: string;
  /** What is looked for; goes into the templates. */
  text: string;
}

/** What to look for by an example. Several examples may have one label: the one that fits best counts. */
export interface ImageQuery {
  /** What detections are called. */
  label: string;
  /** An image that shows it, or a scene that was looked at. */
  image: ImageInput | LookedAt;
  /** Where it is in there, in pixels of the upright image. Default: all of it. */
  box?: Box;
}

/** An example of what is not meant: a patch that looks more like it than like any label finds nothing. */
export interface NegativeQuery {
  /** Always true. */
  negative: true;
  /** As in {@link ImageQuery}. */
  image: ImageInput | LookedAt;
  /** Likewise. */
  box?: Box;
}

/** An image and what it shows, for {@link QuerySet.calibrate}. */
export interface LabelledPicture {
  /** The image, or a scene of it. */
  image: ImageInput | LookedAt;
  /** Labels of what is there, of the set's; of the others nothing is. */
  labels: readonly string[];
}

/** What to look for: a label, which is its own text; words; or an example. */
export type Query = string | TextQuery | ImageQuery | NegativeQuery;

/** What {@link Detector.load} takes. */
export interface DetectorOptions extends LoadOptions, FindLoadOptions {}

/** What {@link Segmenter.load} takes. */
export interface SegmenterOptions extends LoadOptions, FindLoadOptions {
  /** Whether images can be prompts: that needs the whole image tower, of whose 12 blocks words need 10. Default false. */
  picturePrompts?: boolean;
}

/** What {@link Segmenter.segment} takes. */
export interface SegmentOptions extends CallOptions, TemplateOptions {
  /** Pixels whose score is above it belong to the thing, 0 to 1. Default 0.4. */
  threshold?: number;
  /** Whether masks have the `"picture"`'s size (default) or that of the square that the `"model"` sees. */
  size?: MaskSize;
}
