import { builtIn, type Choice } from "../../state/models.ts";

/** A model to choose from. */
export interface Listed {
  /** The source, as in {@link Choice}. */
  source: string;
  name: string;
  /** What it is good at, in a sentence or two. */
  good: string;
  licence: string;
  /** Size of the download, in bytes. */
  bytes: number;
  /** Side of the square that it sees, in pixels. */
  side: number;
  /** Its files are quantised already, so that there is nothing to choose. */
  quantised?: true;
}

const own = (folder: string): string => new URL(`models/${folder}/`, document.baseURI).href;
const ownLicence = "MIT or Apache-2.0";

/**
 * Those that come with the app, and some of the hub's that the package reads: config.json says `clip` or `siglip`, and there is a
 * safetensors file and a tokenizer. (Of openai/clip-vit-base-patch32 and -patch16 none could be established.) Sizes and licences are
 * those of the hub's pages.
 */
export const catalog: readonly Listed[] = [
  {
    source: builtIn.source as string,
    name: builtIn.name,
    side: 64,
    bytes: 9.0e6,
    licence: ownLicence,
    quantised: true,
    good: "Emoji, icons, clip art and simple drawings. It comes with the app and is quick on anything. It does not know photos.",
  },
  {
    source: own("ocelli-tiny-q4"),
    name: "Ocelli tiny, 4 bits",
    side: 64,
    bytes: 5.9e6,
    licence: ownLicence,
    quantised: true,
    good: "The same in fewer bytes, and a little less sure of itself.",
  },
  {
    source: "hf:google/siglip-base-patch16-224",
    name: "SigLIP base",
    side: 224,
    bytes: 816e6,
    licence: "Apache-2.0",
    good: "Photos of all kinds, with English labels. The one to try first.",
  },
  {
    source: "hf:google/siglip2-base-patch16-224",
    name: "SigLIP 2 base",
    side: 224,
    bytes: 1.54e9,
    licence: "Apache-2.0",
    good: "Photos, with labels in many languages, and better at where things are. Its large vocabulary makes the download large.",
  },
  {
    source: "hf:google/siglip-base-patch16-384",
    name: "SigLIP base, 384 pixels",
    side: 384,
    bytes: 816e6,
    licence: "Apache-2.0",
    good: "Sees smaller details than SigLIP base, and takes about three times as long.",
  },
  {
    source: "hf:patrickjohncyh/fashion-clip",
    name: "FashionCLIP",
    side: 224,
    bytes: 608e6,
    licence: "MIT",
    good: "Clothes, shoes and other goods on product photos. The quickest of the hub's models here.",
  },
  {
    source: "hf:openai/clip-vit-large-patch14",
    name: "CLIP large",
    side: 224,
    bytes: 1.71e9,
    licence: "none stated; OpenAI's code is MIT",
    good: "OpenAI's best known CLIP: photos, drawings, and text in pictures.",
  },
  {
    source: "hf:google/siglip-so400m-patch14-384",
    name: "SigLIP so400m",
    side: 384,
    bytes: 3.51e9,
    licence: "Apache-2.0",
    good: "The most exact with English labels. For a strong GPU.",
  },
  {
    source: "hf:google/siglip2-so400m-patch14-384",
    name: "SigLIP 2 so400m",
    side: 384,
    bytes: 4.58e9,
    licence: "Apache-2.0",
    good: "The most exact here, with labels in many languages. For a strong GPU with much memory.",
  },
];

/** The hub's page of a model; undefined for those of the app. */
export function pageOf({ source }: Listed): string | undefined {
  return source.startsWith("hf:") ? `https://huggingface.co/${source.slice("hf:".length)}` : undefined;
}

/** A format in which weights can be kept, with the share of a file in 32 bits that they then take. */
export const formats = [
  {
    value: "none",
    words: "As the files have it",
    share: 1,
    about: "Nothing is lost. Most models come in 32 bits a number.",
  },
  { value: "f16", words: "16 bits", share: 1 / 2, about: "Half the memory, and answers that you cannot tell apart." },
  {
    value: "q8",
    words: "8 bits",
    share: 9 / 32,
    about: "A little over a quarter of the memory. Answers hardly differ.",
  },
  {
    value: "q4",
    words: "4 bits",
    share: 6 / 32,
    about: "About a fifth of the memory. A few answers differ, and large models take a while to load.",
  },
] as const;

export type FormatChoice = (typeof formats)[number];

export function formatOf(value: string | undefined): FormatChoice {
  return formats.find((format) => format.value === value) ?? formats[0];
}

/** The choice that stands for a listed model in a format. */
export function choiceOf({ source, name, quantised }: Listed, format: FormatChoice): Choice {
  return { source, name, format: quantised || format.value === "none" ? undefined : format.value };
}
