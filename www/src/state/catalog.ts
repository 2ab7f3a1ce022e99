import { builtIn, models, type Choice, type Task } from "./models.ts";
import { remembered } from "./store.ts";

/** What people look for a model that labels for, in the order of the page. */
export const needs = ["Drawings", "Photos", "Products", "Many languages", "Best quality"] as const;

/** A model to choose from. */
export interface Listed {
  task: Task;
  /** The source, as in {@link Choice}. */
  source: string;
  name: string;
  /** Of one that labels. */
  need?: (typeof needs)[number];
  /** What it recognises: the end of the sentence "NAME knows …". */
  knows?: string;
  /** What it is good at, and what it costs, in a sentence or two. */
  good: string;
  licence: string;
  /** What follows from a licence that says little. */
  caution?: string;
  /** Size of the download, in bytes. */
  bytes: number;
  /** Side of the square that it sees, in pixels; of one that writes, of each tile. */
  side: number;
  /**
   * Published accuracy, and who says so: ImageNet zero-shot, top 1, in percent; of one that finds, LVIS AP. Left out where nothing was
   * found.
   */
  accuracy?: { percent: number; said: string; at: string } | { averagePrecision: number; said: string; at: string };
  /** The one to try first for its need. */
  recommended?: true;
  /** Its files have 16 bits a number, and not 32. */
  half?: true;
  /** Its files are quantised already, so that there is nothing to choose. */
  quantised?: true;
}

const own = (folder: string): string => new URL(`models/${folder}/`, document.baseURI).href;
const ownLicence = "MIT or Apache-2.0";
const drawings = "drawings, emoji and clip art, but not photos";
const everyday = `56 everyday things in ${drawings}`;
const tinyClip = {
  said: "TinyCLIP's model zoo",
  at: "https://github.com/microsoft/Cream/tree/main/TinyCLIP",
};
const siglip2 = {
  said: "big_vision's SigLIP 2 table",
  at: "https://github.com/google-research/big_vision/blob/main/big_vision/configs/proj/image_text/README_siglip2.md",
};
const scenic = {
  said: "its authors' table",
  at: "https://github.com/google-research/scenic/tree/main/scenic/projects/owl_vit",
};
const openClip = { said: "open_clip's README", at: "https://github.com/mlfoundations/open_clip" };

/**
 * Models that come with the app, and models of the hub that the package reads. Sizes and licences are those of the hub's pages. An
 * accuracy is as published for the original weights; timm's TinyCLIP folders hold the same weights in 16 bits.
 */
export const catalog: readonly Listed[] = [
  {
    task: "label",
    source: builtIn.source as string,
    name: builtIn.name,
    need: "Drawings",
    knows: drawings,
    side: 64,
    bytes: 9.0e6,
    licence: ownLicence,
    recommended: true,
    quantised: true,
    good: "Emoji, icons, clip art and simple drawings. Comes with the app and is fast on any device. It doesn't know photos.",
  },
  {
    task: "label",
    source: own("ocelli-tiny-q4"),
    name: "Ocelli tiny, 4-bit",
    need: "Drawings",
    knows: drawings,
    side: 64,
    bytes: 5.9e6,
    licence: ownLicence,
    quantised: true,
    good: "Same model, smaller download, slightly less accurate.",
  },
  {
    task: "label",
    source: "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m",
    name: "TinyCLIP",
    need: "Photos",
    knows: "photos, with labels in English",
    side: 224,
    bytes: 166e6,
    half: true,
    licence: "MIT",
    accuracy: { percent: 63.5, ...tinyClip },
    recommended: true,
    good: "Everyday photos, in the smallest download that does them well.",
  },
  {
    task: "label",
    source: "hf:timm/vit_medium_patch32_clip_224.tinyclip_laion400m",
    name: "TinyCLIP 40M, fast",
    need: "Photos",
    knows: "photos, with labels in English",
    side: 224,
    bytes: 168e6,
    half: true,
    licence: "MIT",
    accuracy: { percent: 59.8, ...tinyClip },
    good: "Looks at each photo in fewer patches: about a third of TinyCLIP's work per photo. For large collections and slow devices.",
  },
  {
    task: "label",
    source: "hf:timm/vit_betwixt_patch32_clip_224.tinyclip_laion400m",
    name: "TinyCLIP 61M",
    need: "Photos",
    knows: "photos, with labels in English",
    side: 224,
    bytes: 231e6,
    half: true,
    licence: "MIT",
    accuracy: { percent: 62.4, ...tinyClip },
    good: "Larger than the fast one, and more accurate.",
  },
  {
    task: "label",
    source: "hf:wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M",
    name: "TinyCLIP 8M",
    need: "Photos",
    knows: "photos, roughly, with labels in English",
    side: 224,
    bytes: 96e6,
    licence: "MIT",
    accuracy: { percent: 41.1, ...tinyClip },
    good: "The smallest model that knows photos. It makes more mistakes.",
  },
  {
    task: "label",
    source: "hf:timm/vit_base_patch32_clip_224.openai",
    name: "CLIP B/32",
    need: "Photos",
    knows: "photos, with labels in English",
    side: 224,
    bytes: 608e6,
    licence: "Apache-2.0",
    accuracy: { percent: 63.2, ...openClip },
    good: "OpenAI's original small CLIP, which much other software uses.",
  },
  {
    task: "label",
    source: "hf:google/siglip-base-patch16-224",
    name: "SigLIP base",
    need: "Photos",
    knows: "photos of all kinds, with labels in English",
    side: 224,
    bytes: 816e6,
    licence: "Apache-2.0",
    good: "Photos of all kinds. Clearly better than the small models.",
  },
  {
    task: "label",
    source: "hf:google/siglip-base-patch16-384",
    name: "SigLIP base, 384 px",
    need: "Photos",
    knows: "photos of all kinds, with labels in English",
    side: 384,
    bytes: 816e6,
    licence: "Apache-2.0",
    good: "Sees smaller details than SigLIP base. Takes about three times as long.",
  },
  {
    task: "label",
    source: "hf:patrickjohncyh/fashion-clip",
    name: "FashionCLIP",
    need: "Products",
    knows: "clothes, shoes and other goods on product photos",
    side: 224,
    bytes: 608e6,
    licence: "MIT",
    recommended: true,
    good: "Clothes, shoes and other goods on product photos.",
  },
  {
    task: "label",
    source: "hf:google/siglip2-base-patch16-224",
    name: "SigLIP 2 base",
    need: "Many languages",
    knows: "photos of all kinds, with labels in many languages",
    side: 224,
    bytes: 1.54e9,
    licence: "Apache-2.0",
    accuracy: { percent: 78.2, ...siglip2 },
    recommended: true,
    good: "Photos, with labels in many languages, and better at spatial relations (“left of”). Its large vocabulary makes the download large.",
  },
  {
    task: "label",
    source: "hf:openai/clip-vit-large-patch14",
    name: "CLIP large",
    need: "Best quality",
    knows: "photos, drawings, and text in images",
    side: 224,
    bytes: 1.71e9,
    licence: "none stated",
    caution: "OpenAI's code is MIT, but the page of these weights states no licence. Check before you use it at work.",
    accuracy: { percent: 75.5, ...openClip },
    good: "OpenAI's best-known CLIP: photos, drawings, and text in images.",
  },
  {
    task: "label",
    source: "hf:google/siglip-so400m-patch14-384",
    name: "SigLIP so400m",
    need: "Best quality",
    knows: "photos of all kinds, with labels in English",
    side: 384,
    bytes: 3.51e9,
    licence: "Apache-2.0",
    good: "Very accurate with English labels. Needs a strong GPU.",
  },
  {
    task: "label",
    source: "hf:google/siglip2-so400m-patch14-384",
    name: "SigLIP 2 so400m",
    need: "Best quality",
    knows: "photos of all kinds, with labels in many languages",
    side: 384,
    bytes: 4.58e9,
    licence: "Apache-2.0",
    accuracy: { percent: 84.1, ...siglip2 },
    recommended: true,
    good: "The most accurate here, with labels in many languages. Needs a strong GPU with plenty of memory.",
  },
  {
    task: "find",
    source: own("ocelli-tiny-find"),
    name: "Ocelli tiny, finding",
    knows: everyday,
    side: 256,
    bytes: 8.6e6,
    licence: ownLicence,
    quantised: true,
    good: "Finds 56 everyday things in drawings and clip art. Comes with the app and is fast on any device. It doesn't know photos.",
  },
  {
    task: "find",
    source: "hf:google/owlv2-base-patch16-ensemble",
    name: "OWLv2 base",
    side: 960,
    bytes: 620e6,
    licence: "Apache-2.0",
    accuracy: { averagePrecision: 43.9, ...scenic },
    recommended: true,
    good: "Finds things of all kinds by words, small ones too. Takes its time without a good GPU.",
  },
  {
    task: "find",
    source: "hf:google/owlvit-base-patch32",
    name: "OWL-ViT B/32",
    side: 768,
    bytes: 613e6,
    licence: "Apache-2.0",
    accuracy: { averagePrecision: 19.3, ...scenic },
    good: "A tenth of OWLv2's work per image, for video and slow devices. Misses more.",
  },
  {
    task: "cut",
    source: own("ocelli-tiny-mask"),
    name: "Ocelli tiny, cutting out",
    knows: everyday,
    side: 256,
    bytes: 8.8e6,
    licence: ownLicence,
    quantised: true,
    good: "Cuts 56 everyday things out of drawings and clip art. Comes with the app and is fast on any device. It doesn't know photos.",
  },
  {
    task: "cut",
    source: "hf:CIDAS/clipseg-rd64-refined",
    name: "CLIPSeg",
    side: 352,
    bytes: 603e6,
    licence: "Apache-2.0",
    caution:
      "The hub says Apache-2.0, but the authors' own page says that its licence doesn't cover the weights. Check before you use it at work.",
    recommended: true,
    good: "Cuts out what your words name. Edges are soft: it sees 22 × 22 patches.",
  },
  {
    task: "ask",
    source: own("ocelli-tiny-ask"),
    name: "Ocelli tiny, answering",
    knows: everyday,
    side: 192,
    bytes: 9.2e6,
    licence: ownLicence,
    quantised: true,
    good: "Says what is in a drawing, how many there are, and where. Comes with the app and is fast on any device. It doesn't know photos.",
  },
  {
    task: "ask",
    source: "hf:HuggingFaceTB/SmolVLM-256M-Instruct",
    name: "SmolVLM 256M",
    side: 512,
    bytes: 513e6,
    half: true,
    licence: "Apache-2.0",
    recommended: true,
    good: "Describes images and answers questions in English. Small and quick; check what matters.",
  },
  {
    task: "ask",
    source: "hf:HuggingFaceTB/SmolVLM-500M-Instruct",
    name: "SmolVLM 500M",
    side: 512,
    bytes: 1.02e9,
    half: true,
    licence: "Apache-2.0",
    good: "Twice as large, and right more often.",
  },
];

/** The entry of a source; undefined if the catalogue has none. */
export function listedAs(source: unknown): Listed | undefined {
  return catalog.find((listed) => listed.source === source);
}

/** The entry to offer first for a task. */
export function offeredFor(task: Task): Listed {
  return catalog.find((listed) => listed.task === task && listed.recommended && !isOwn(listed)) as Listed;
}

/** The model of a task that comes with the app; undefined if none does. */
export function ownFor(task: Task): Listed | undefined {
  return catalog.find((listed) => listed.task === task && isOwn(listed));
}

const isOwn = ({ source }: Listed): boolean => !source.startsWith("hf:");

/** A published accuracy in words; undefined if there is none. */
export function accuracyOf({ accuracy }: Listed): string | undefined {
  if (!accuracy) return undefined;
  return "percent" in accuracy ? `${accuracy.percent}%` : `${accuracy.averagePrecision} LVIS AP`;
}

/** The model that people with photos are offered first, and a better one. */
export const forPhotos: readonly Listed[] = [
  "hf:timm/vit_medium_patch16_clip_224.tinyclip_yfcc15m",
  "hf:google/siglip-base-patch16-224",
].map((source) => listedAs(source) as Listed);

/** The prompt that suits the model in use: one for drawings, one for photos. */
export function usualPrompt(): string {
  const source = (models.choice ?? models.loading?.choice ?? builtIn).source;
  return listedAs(source)?.need === "Drawings" ? "a picture of a {}" : "a photo of a {}";
}

/** The hub's page of a model; undefined for those of the app. */
export function pageOf(listed: Listed): string | undefined {
  return isOwn(listed) ? undefined : `https://huggingface.co/${listed.source.slice("hf:".length)}`;
}

/** Bytes that a model takes in a format, in memory and on disk: never more than its files have. */
export function bytesIn({ bytes, half, quantised }: Listed, { share }: FormatChoice): number {
  return quantised ? bytes : Math.min(bytes, bytes * (half ? 2 : 1) * share);
}

/** A format in which weights can be kept, with the share of a file in 32 bits that they then take. */
export const formats = [
  { value: "none", words: "Original", share: 1, about: "Nothing is lost. Most models come with 32 bits per number." },
  { value: "f16", words: "16-bit", share: 1 / 2, about: "Half the memory, and answers you can't tell apart." },
  { value: "q8", words: "8-bit", share: 9 / 32, about: "About a quarter of the memory. Answers hardly differ." },
  {
    value: "q4",
    words: "4-bit",
    share: 6 / 32,
    about: "About a fifth of the memory. A few answers differ, and large models take a while to load.",
  },
] as const;

export type FormatChoice = (typeof formats)[number];

export function formatOf(value: string | undefined): FormatChoice {
  return formats.find((format) => format.value === value) ?? formats[0];
}

const rememberedFormat = remembered<string>("format", "q8");

/** The format in which models of the hub are kept, as the user chose it. */
export const format = {
  get: (): FormatChoice => formatOf(rememberedFormat.get()),
  set: ({ value }: FormatChoice): void => rememberedFormat.set(value),
};

/** The choice that stands for a listed model in a format. */
export function choiceOf({ task, source, name, quantised }: Listed, format: FormatChoice): Choice {
  return { task, source, name, format: quantised || format.value === "none" ? undefined : format.value };
}
