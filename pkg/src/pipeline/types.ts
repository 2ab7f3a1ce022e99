import type { Detector } from "../find/detector.js";
import type { Segmenter } from "../find/segmenter.js";
import type { Ocelli } from "../ocelli.js";
import type { CallOptions, ImageInput, LoadOptions } from "../types.js";
import type { Message } from "../vlm/types.js";
import type { Vlm } from "../vlm/vlm-model.js";
import type { Features } from "./features.js";

/** How far a load has come, in the words of transformers.js. */
export type ProgressInfo =
  | {
      /** A load has begun. */
      status: "initiate";
      /** The model, as it was asked for. */
      name: string;
      /** Always `"model"`: all files of a model are told together. */
      file: string;
    }
  | {
      /** Bytes have arrived. */
      status: "progress";
      /** The model, as it was asked for. */
      name: string;
      /** Always `"model"`. */
      file: string;
      /** From 0 to 100. */
      progress: number;
      /** Bytes that have arrived. */
      loaded: number;
      /** Bytes that will have arrived. */
      total: number;
    }
  | {
      /** All bytes have arrived. */
      status: "done";
      /** The model, as it was asked for. */
      name: string;
      /** Always `"model"`. */
      file: string;
    }
  | {
      /** The pipeline can be called. */
      status: "ready";
      /** What it does. */
      task: PipelineTask;
      /** The model, as it was asked for. */
      model: string;
    };

/** What {@link pipeline} takes: the options of transformers.js that mean something here, and all of `Ocelli.load`. */
export interface PipelineOptions extends Omit<LoadOptions, "format" | "backend" | "onProgress" | "tier" | "towers"> {
  /**
   * How weights are kept. `"fp32"` and `"auto"` (default): as the files have them; `"fp16"`; `"q8"`, `"int8"` and `"uint8"`: in 8 bits;
   * `"q4"`, `"bnb4"` and `"q4f16"`: in 4 bits. Files of floats are converted while they arrive, so one repository has all of them.
   */
  dtype?: string;
  /** `"webgpu"` or `"gpu"`; `"wasm"` or `"cpu"`; `"auto"` (default): the GPU, and the CPU where there is none. */
  device?: string;
  /** Told how far the load has come. */
  progress_callback?: (info: ProgressInfo) => void;
}

/** What can be asked for. */
export type PipelineTask = keyof Pipelines;

/** An image: also its address, relative to the page, as a string. */
export type PipelineImage = ImageInput | string;

/** For one image what `One` is, for several an array of it. */
export type ForEach<Images, One> = Images extends readonly unknown[] ? One[] : One;

/** What every pipeline has besides being a function. */
export interface Pipeline<Task, Model> {
  /** What it does. */
  readonly task: Task;
  /** The model, for all that transformers.js has no words for. */
  readonly model: Model;
  /** Frees the device's memory. */
  dispose(): Promise<void>;
}

/** A label and its score. */
export interface ClassificationOutput {
  /** As given. */
  label: string;
  /** From 0 to 1: a softmax over the labels with CLIP, a sigmoid of each with SigLIP. */
  score: number;
}

/** A thing that was found. */
export interface DetectionOutput {
  /** As given. */
  label: string;
  /** From 0 to 1. */
  score: number;
  /** Its edges, in pixels of the image or in shares of its sides, and not beyond the image. */
  box: {
    /** Left. */
    xmin: number;
    /** Top. */
    ymin: number;
    /** Right. */
    xmax: number;
    /** Bottom. */
    ymax: number;
  };
}

/** Which pixels a label is of. */
export interface SegmentationOutput {
  /** As given. */
  label: string;
  /** Always null: the model scores pixels, not masks. */
  score: null;
  /** 255 for a pixel that belongs to it, 0 for others: an image of one channel, row by row, as large as the one that was given. */
  mask: {
    /** Pixels. */
    data: Uint8ClampedArray;
    /** Of a row. */
    width: number;
    /** Rows. */
    height: number;
    /** Numbers of a pixel. */
    channels: 1;
  };
}

/** A text that was written. */
export interface TextOutput {
  /** Without the prompt. */
  generated_text: string;
}

/** How a text is written: transformers' names. */
export interface GenerateOptions extends CallOptions {
  /** Most tokens that are written. Default 256. */
  max_new_tokens?: number;
  /** Whether tokens are drawn; else the likeliest one is taken each time. Default: whether a `temperature` above 0 is given. */
  do_sample?: boolean;
  /** Default 1 with `do_sample`. */
  temperature?: number;
  /** Draws from so many of the likeliest tokens. Default: from all. */
  top_k?: number;
  /** Draws from the likeliest tokens whose probabilities add up to this. Default 1. */
  top_p?: number;
  /** Above 1, tokens that are there already become less likely. Default 1. */
  repetition_penalty?: number;
  /** Strings that end the text, and are no part of it. */
  stop_strings?: string | readonly string[];
  /** Another one draws another text. Not in transformers.js. */
  seed?: number;
  /** Told each piece of text, as it comes. Not in transformers.js, which has a `TextStreamer` for it. */
  on_text?: (text: string) => void;
}

/** How labels are ranked. */
export interface ClassifyPipelineOptions extends CallOptions {
  /** What each label is put into, at `{}`. Default `"This is a photo of {}"`. */
  hypothesis_template?: string;
}

/** Which things are wanted. */
export interface DetectPipelineOptions extends CallOptions {
  /** Scores are above it. Default 0.1. */
  threshold?: number;
  /** Only so many. Default: all. */
  top_k?: number | null;
  /** Whether boxes are shares of the image's sides, 0 to 1. Default false: in pixels. */
  percentage?: boolean;
}

/** Which numbers of images are wanted. */
export interface FeaturePipelineOptions extends CallOptions {
  /** There is nothing but the pooled output: false is an error. */
  pool?: boolean | null;
}

/** Which pixels are wanted. */
export interface SegmentPipelineOptions extends CallOptions {
  /** Pixels belong to it whose score is above this, 0 to 1. Default 0.4. */
  threshold?: number;
}

/** The pipelines by their tasks. */
export interface Pipelines {
  /** Which of these labels fits? Best first. */
  "zero-shot-image-classification": Pipeline<"zero-shot-image-classification", Ocelli> &
    (<I extends PipelineImage | readonly PipelineImage[]>(
      images: I,
      candidate_labels: readonly string[],
      options?: ClassifyPipelineOptions,
    ) => Promise<ForEach<I, ClassificationOutput[]>>);
  /** Where are things with these labels? Best first. */
  "zero-shot-object-detection": Pipeline<"zero-shot-object-detection", Detector> &
    (<I extends PipelineImage | readonly PipelineImage[]>(
      images: I,
      candidate_labels: readonly string[],
      options?: DetectPipelineOptions,
    ) => Promise<ForEach<I, DetectionOutput[]>>);
  /** Embeddings of images, of unit length. */
  "image-feature-extraction": Pipeline<"image-feature-extraction", Ocelli> &
    ((images: PipelineImage | readonly PipelineImage[], options?: FeaturePipelineOptions) => Promise<Features>);
  /** Which pixels belong to things with these labels? In their order. */
  "image-segmentation": Pipeline<"image-segmentation", Segmenter> &
    (<I extends PipelineImage | readonly PipelineImage[]>(
      images: I,
      candidate_labels: readonly string[],
      options?: SegmentPipelineOptions,
    ) => Promise<ForEach<I, SegmentationOutput[]>>);
  /** A caption. */
  "image-to-text": Pipeline<"image-to-text", Vlm> &
    (<I extends PipelineImage | readonly PipelineImage[]>(
      images: I,
      options?: GenerateOptions,
    ) => Promise<ForEach<I, TextOutput[]>>);
  /** What the model says of an image and a text, or to messages. */
  "image-text-to-text": Pipeline<"image-text-to-text", Vlm> & {
    (images: PipelineImage | readonly PipelineImage[], text: string, options?: GenerateOptions): Promise<TextOutput[]>;
    (messages: readonly Message[], options?: GenerateOptions): Promise<TextOutput[]>;
  };
}
