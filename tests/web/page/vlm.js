// The page's half of the tests of models that write. Texts go back as they are; nothing is judged here.
import { LanguageModel, Vlm } from "ocelli/vlm";
import { here } from "./here.js";
import { watch } from "./watch.js";

function black(width, height) {
  const pixels = new ImageData(width, height);
  new Uint32Array(pixels.data.buffer).fill(0xff000000);
  return pixels;
}

/** So many turns of the event loop. */
async function turns(count) {
  for (let turn = 0; turn < count; turn++)
    await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = resolve;
      port2.postMessage(0);
    });
}

/** A regular expression by its source and flags; anything else as it is. */
const meant = (given) => (typeof given?.source === "string" ? new RegExp(given.source, given.flags) : given);

const plain = (written) => ({ ...written, tokens: Array.from(written.tokens) });

export function vlmCalls({ made, attempt }) {
  const models = new Map();
  const chats = new Map();
  const sessions = new Map();

  /** Black ones by their sizes, others by their addresses. */
  const picture = (given) => (Array.isArray(given) ? black(...given) : made(given));
  /** A prompt with pictures in the places of their addresses. */
  const prompt = async (given) => {
    if (typeof given === "string" || !given) return given;
    if (Array.isArray(given)) return Promise.all(given.map(message));
    const { image, images, messages, ...more } = given;
    return {
      ...more,
      ...(image && { image: await picture(image) }),
      ...(images && { images: await Promise.all(images.map(picture)) }),
      ...(messages && { messages: Array.isArray(messages) ? await Promise.all(messages.map(message)) : messages }),
    };
  };
  const message = async (given) => {
    if (!Array.isArray(given?.content)) return given;
    const part = async (one) =>
      one?.image
        ? { ...one, image: await made(one.image) }
        : one?.value?.url
          ? { ...one, value: await made(one.value) }
          : one;
    return { ...given, content: await Promise.all(given.content.map(part)) };
  };

  /** A text, or the error with what was written before it; and the tokens that were told. `act` happens at the token of number `at`. */
  async function written(write, options = {}, { at, act } = {}, destroy, until) {
    const told = [];
    const stop = new AbortController();
    const acts = {
      abort: () => stop.abort(),
      terminate: () => life.workers.at(-1).terminate(),
      lose: () => life.device().destroy(),
      destroy,
    };
    const onToken = (token) => {
      if (told.push(token) === at) acts[act]();
    };
    try {
      const { pattern, ...others } = options;
      const how = { ...others, ...(pattern !== undefined && { pattern: meant(pattern) }) };
      const text = write({ ...how, onToken, signal: stop.signal });
      if (until !== undefined) void turns(until).then(acts.abort);
      return { told, ...plain(await text) };
    } catch (error) {
      return { told, code: error.code ?? error.name, message: error.message, text: error.text };
    }
  }

  async function loadVlm(name, folder, options = {}) {
    models.get(name)?.dispose();
    const model = await Vlm.load(folder, { cache: false, ...here(options) });
    models.set(name, model);
    return model.info;
  }

  return {
    loadVlm,
    /** What the GPU is given for a load. */
    loadVlmWatched: (...args) => watch(async () => ({ info: await loadVlm(...args) })),
    verifyVlm: (name) => attempt(() => models.get(name).verify()),
    disposeVlm: (name) => models.get(name).dispose(),
    write: async (name, given, options, act) => {
      const asked = await prompt(given);
      return written((how) => models.get(name).generate(asked, how), options, act);
    },
    caption: async (name, image, options) => {
      const shown = await made(image);
      return written((how) => models.get(name).caption(shown, how), options);
    },
    askAbout: async (name, image, question, options) => {
      const shown = await made(image);
      return written((how) => models.get(name).ask(shown, question, how), options);
    },
    /** The answer to a task; `until` fires its signal after so many turns of the event loop. */
    async task(name, image, task, options, act, until) {
      const shown = await made(image);
      return written((how) => models.get(name).task(shown, task, how), options, act, undefined, until);
    },
    /** What `detect` or `segment` finds; of masks their lengths of runs. */
    located: (name, call, image, labels, options) =>
      attempt(async () => {
        const found = await models.get(name)[call](await made(image), labels, options);
        return found.map(({ mask, ...one }) => ({ ...one, ...(mask !== undefined && { runs: mask && mask.toRLE() }) }));
      }),
    countTokens: async (name, given, options) => models.get(name).countTokens(await prompt(given), options),
    /** What the GPU is given for a text. */
    writtenWatched: async (name, given, options) => {
      const asked = await prompt(given);
      return watch(() => written((how) => models.get(name).generate(asked, how), options));
    },
    /** The parts of a text, by `for await` or by a reader; `leave` ends the loop after so many. */
    async streamed(name, given, options, { by = "for await", leave } = {}) {
      const stream = models.get(name).stream(await prompt(given), options);
      const parts = [];
      if (by === "for await") {
        for await (const part of stream) if (parts.push(part) === leave) break;
      } else {
        const reader = stream.getReader();
        for (let read = await reader.read(); !read.done; read = await reader.read()) parts.push(read.value);
      }
      return {
        parts,
        ...(await attempt(async () => plain(await stream.written))),
        text: (await stream.written.catch((e) => e)).text,
      };
    },
    /** A text whose signal fires after so many turns of the event loop. */
    async writtenUntil(name, given, count, options) {
      const asked = await prompt(given);
      const stop = new AbortController();
      const text = attempt(async () =>
        plain(await models.get(name).generate(asked, { ...options, signal: stop.signal })),
      );
      await turns(count);
      stop.abort();
      return text;
    },
    /** Several at once. */
    writtenAtOnce: async (name, prompts, options) => {
      const asked = await Promise.all(prompts.map(prompt));
      return Promise.all(asked.map((one) => written((how) => models.get(name).generate(one, how), options)));
    },
    chat: (name, chat, options) => void chats.set(chat, models.get(name).chat(options)),
    cloneChat: (chat, to) => void chats.set(to, chats.get(chat).clone()),
    destroyChat: (chat) => chats.get(chat).destroy(),
    said: (chat) =>
      chats.get(chat).messages.map(({ role, content }) => [role, ...content.map(({ text, type }) => text ?? type)]),
    usage: (chat) => [chats.get(chat).contextUsage, chats.get(chat).contextWindow],
    appendTo: async (chat, given) => chats.get(chat).append(await prompt(given)),
    tell: async (chat, given, options, act) => {
      const turn = await prompt(given);
      return written(
        (how) => chats.get(chat).prompt(turn, how),
        options,
        act,
        () => chats.get(chat).destroy(),
      );
    },
    tellWatched: async (chat, given, options) => {
      const turn = await prompt(given);
      return watch(() => written((how) => chats.get(chat).prompt(turn, how), options));
    },
    async session(name, session, options = {}) {
      let overflows = 0;
      const made = await LanguageModel.create({ model: models.get(name), ...options });
      made.oncontextoverflow = () => overflows++;
      sessions.set(session, { made, overflows: () => overflows });
      return [made.contextUsage, made.contextWindow];
    },
    sessionPrompt: async (session, given, { abort, responseConstraint, ...options } = {}) => {
      const { made, overflows } = sessions.get(session);
      const stop = new AbortController();
      const constraint = responseConstraint && { responseConstraint: meant(responseConstraint) };
      const answer = made.prompt(await prompt(given), { ...options, ...constraint, signal: stop.signal });
      if (abort) stop.abort();
      const outcome = await answer.then(
        (text) => ({ text }),
        (error) => ({ name: error.name, message: error.message }),
      );
      return { ...outcome, overflows: overflows(), usage: made.contextUsage };
    },
    sessionStream: async (session, given) => {
      const parts = [];
      for await (const part of sessions.get(session).made.promptStreaming(await prompt(given))) parts.push(part);
      return parts;
    },
    sessionMeasure: async (session, given) => sessions.get(session).made.measureContextUsage(await prompt(given)),
    sessionClone: async (session, to) =>
      void sessions.set(to, { made: await sessions.get(session).made.clone(), overflows: () => 0 }),
    availability: (options) => LanguageModel.availability({ model: "/fixtures/decoders/smolvlm/", ...options }),
  };
}
