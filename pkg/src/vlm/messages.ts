import { OcelliError } from "../error.js";
import { open } from "../pictures/image.js";
import { all } from "../pictures/picture-error.js";
import { ready } from "../pictures/ready.js";
import { wholeUrl } from "../source/address.js";
import type { ImageInput } from "../types.js";
import type { PlainMessage, PromptRequest, Role } from "./plain.js";
import type { Message, Prompt, Turn } from "./types.js";

/** What somebody says, in one shape: words and images in their order. */
export interface Said {
  role: Role;
  content: (string | { image: ImageInput })[];
}

/** A prompt and its images, in order. */
export interface Asked {
  request: PromptRequest;
  images: ImageInput[];
}

const ROLES: readonly Role[] = ["system", "user", "assistant"];

/** @throws {OcelliError} With code `bad-input` for what is no prompt. */
export function askedOf(prompt: Prompt): Asked {
  if (typeof prompt === "string") return askedBy([{ role: "user", content: [prompt] }]);
  if (typeof prompt !== "object" || prompt === null)
    throw bad("prompt", 'a text, or an object with "prompt", "messages", "question", "caption" or "raw"', prompt);
  if ("messages" in prompt) {
    const said = saidOf(prompt.messages, prompt.images);
    requireQuestion(said);
    return askedBy(said);
  }
  if ("question" in prompt) {
    if (typeof prompt.question !== "string") throw bad("question", "a text", prompt.question);
    return { request: { question: prompt.question, pictures: 1 }, images: [prompt.image] };
  }
  if ("caption" in prompt) {
    if (prompt.caption !== true) throw bad("caption", "true", prompt.caption);
    return { request: { caption: true, pictures: 1 }, images: [prompt.image] };
  }
  const images = imagesOf(prompt);
  if ("raw" in prompt) {
    if (typeof prompt.raw !== "string") throw bad("raw", "a text", prompt.raw);
    return { request: { raw: prompt.raw }, images };
  }
  return askedBy([userOf(prompt.prompt, images)]);
}

/** What is said in a chat's turn. @throws {OcelliError} With code `bad-input`. */
export function turnOf(turn: Turn): Said[] {
  if (typeof turn === "string") return [userOf(turn, [])];
  if (typeof turn !== "object" || turn === null)
    throw bad("prompt", 'a text, an object with "prompt", or messages', turn);
  if (!("prompt" in turn)) return saidOf(turn);
  return [userOf(turn.prompt, imagesOf(turn))];
}

/** The model speaks next. @throws {OcelliError} With code `bad-input`. */
export function requireQuestion(said: readonly Said[]): void {
  const role = said.at(-1)?.role;
  if (role === "user") return;
  throw new OcelliError(
    "bad-input",
    `messages: expected the last one to be the user's, found ${role ? `the ${role}'s` : "none"}: the model does not go on from its own words.`,
  );
}

/** Messages in one shape. `images` are those that `{ type: "image" }` stands for. */
export function saidOf(messages: readonly Message[], images: readonly ImageInput[] = []): Said[] {
  if (!Array.isArray(messages)) throw bad("messages", "an array of messages", messages);
  if (!Array.isArray(images)) throw bad("images", "an array of images", images);
  const left = [...images];
  const said = (messages as readonly Message[]).map((message, at): Said => {
    const name = `messages[${at}]`;
    const { role, content } = (message ?? {}) as Partial<Message>;
    if (!ROLES.includes(role as Role)) throw bad(`${name}.role`, '"system", "user" or "assistant"', role);
    if ((message as { prefix?: unknown }).prefix)
      throw new OcelliError("bad-input", `${name}.prefix: the beginning of an answer cannot be given to this model.`);
    if (typeof content === "string") return { role: role as Role, content: [content] };
    if (!Array.isArray(content)) throw bad(`${name}.content`, "a text, or an array of parts", content);
    return { role: role as Role, content: content.map((part, i) => partOf(part, `${name}.content[${i}]`, left)) };
  });
  if (left.length > 0)
    throw bad("images", `as many images as { type: "image" } in the messages`, `${left.length} more`);
  return said;
}

/** The prompt of messages. */
export function askedBy(said: readonly Said[]): Asked {
  const images: ImageInput[] = [];
  const messages = said.map(({ role, content }): PlainMessage => ({
    role,
    content: content.map((part) =>
      typeof part === "string" ? { type: "text", text: part } : { type: "image", picture: images.push(part.image) - 1 },
    ),
  }));
  return { request: { messages }, images };
}

/**
 * The same with images as they are now: a file, or pixels. A video goes on, a frame is closed, and an answer's body is read only once,
 * but a chat shows them again.
 */
export async function heldOf(said: readonly Said[], signal: AbortSignal | undefined): Promise<Said[]> {
  const hold = async (part: Said["content"][number]) => {
    if (typeof part === "string") return part;
    const here = await ready(part.image, signal);
    return { image: here instanceof Blob ? here : (await open(here, "cpu")).pixels };
  };
  const parts = all(await Promise.allSettled(said.flatMap(({ content }) => content).map(hold)));
  return said.map(({ role, content }) => ({ role, content: parts.splice(0, content.length) }));
}

function userOf(text: unknown, images: readonly ImageInput[]): Said {
  if (typeof text !== "string") throw bad("prompt", "a text", text);
  return { role: "user", content: [...images.map((image) => ({ image })), text] };
}

function imagesOf({ image, images }: { image?: ImageInput; images?: readonly ImageInput[] }): ImageInput[] {
  if (image !== undefined && images !== undefined)
    throw new OcelliError("bad-input", "image, images: expected one of the two, found both.");
  if (images === undefined) return image === undefined ? [] : [image];
  if (!Array.isArray(images)) throw bad("images", "an array of images", images);
  return [...images];
}

/** A part of a message; an image without an image is the first of those that are `left`. */
function partOf(part: unknown, name: string, left: ImageInput[]): Said["content"][number] {
  const { type, text, value, image, image_url: address } = (part ?? {}) as Record<string, unknown>;
  if (type === "text") {
    const words = text ?? value;
    if (typeof words !== "string") throw bad(`${name}.text`, "a text", words);
    return words;
  }
  if (type === "image") {
    const picture = image ?? value ?? left.shift();
    if (picture === undefined) throw bad(`${name}.image`, "an image here, or in images", picture);
    return { image: picture as ImageInput };
  }
  if (type === "image_url") {
    const url = typeof address === "string" ? address : (address as { url?: unknown } | undefined)?.url;
    if (typeof url !== "string") throw bad(`${name}.image_url`, "an address", url);
    return { image: wholeUrl(url) };
  }
  throw bad(`${name}.type`, '"text", "image" or "image_url"', type);
}

function bad(name: string, expected: string, found: unknown): OcelliError {
  const what = typeof found === "string" ? JSON.stringify(found) : found === null ? "null" : typeof found;
  return new OcelliError("bad-input", `${name}: expected ${expected}, found ${what}.`);
}
