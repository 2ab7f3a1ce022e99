import { bytesIn, choiceOf, format, formatOf, listedAs, ownFor } from "./catalog.ts";
import { database } from "./db.ts";
import { kept } from "./kept.ts";
import { models, modelsOf, type Choice, type Task } from "./models.ts";
import { remembered, Store } from "./store.ts";

/** Bytes of a download that is asked about first; fewer where the user has told the browser to save data. */
const LARGE = 100e6;
const LARGE_WHERE_DATA_IS_DEAR = 10e6;
/** Of a model's files, so much is here if all of it is: sizes are rounded, and a load may leave out a part that it does not need. */
const NEARLY_ALL = 0.9;

/** Photos a second of the models that have indexed here, by source. */
const paces = remembered<Record<string, number>>("paces", {});

/** A switch that waits for the user's answer, and what it costs. */
export interface Question {
  choice: Choice;
  place: string;
  licence: string | undefined;
  /** Bytes to download; 0 if there are none, or too few to ask about. */
  bytes: number;
  /** Bytes of it that stay on the device. */
  staying: number;
  /** Seconds that the download takes, as the browser judges the connection; undefined where it does not. */
  seconds: number | undefined;
  /** Whether the user has told the browser to save data. */
  saving: boolean;
  /** Indexed photos that the other model has not seen yet. */
  photos: number;
  /** Seconds to index them: of the model itself if it has indexed here, else of the one in use, which is a lower bound. */
  indexing: { seconds: number; atLeast: boolean } | undefined;
}

/** The way from a click on a model to its load: what is large or slow is asked about first. */
class Switching extends Store {
  question: Question | undefined;

  /** Loads a model, if it costs little; else asks first. `place` is where its progress is shown. */
  async choose(choice: Choice, place: string): Promise<void> {
    const { saveData = false, downlink } = connection();
    const download = await this.#download(choice);
    const bytes = download > (saveData ? LARGE_WHERE_DATA_IS_DEAR : LARGE) ? download : 0;
    const photos = await this.#again(choice).catch(() => 0);
    if (bytes === 0 && photos === 0) return modelsOf[choice.task].load(choice, place);
    const { [String(choice.source)]: own, [String(models.choice?.source)]: current } = paces.get();
    const pace = own ?? current;
    const listed = listedAs(choice.source);
    this.question = {
      choice,
      place,
      licence: listed?.licence,
      bytes,
      staying: listed ? bytesIn(listed, formatOf(choice.format)) : 0,
      seconds: downlink && bytes > 0 ? (bytes * 8) / (downlink * 1e6) : undefined,
      saving: saveData && bytes > 0,
      photos,
      indexing: pace ? { seconds: photos / pace, atLeast: own === undefined } : undefined,
    };
    this.changed();
  }

  /** Loads what was used last for a task, or what comes with the app, if that is here: nothing is downloaded unasked. */
  async resume(task: Task): Promise<void> {
    const models = modelsOf[task];
    const own = ownFor(task);
    const { last } = models;
    if (!last && !own) return;
    await kept.read();
    const isHere = last && (last.source === own?.source || (kept.of(last.source) && models.hashOf(last.source)));
    const choice = isHere ? last : own && choiceOf(own, format.get());
    if (choice && !models.model && !models.loading && !models.failed) await models.load(choice, `card ${task}`);
  }

  /** Ends the question. */
  answer(yes: boolean): void {
    const { question } = this;
    this.question = undefined;
    this.changed();
    if (yes && question) void modelsOf[question.choice.task].load(question.choice, question.place);
  }

  /** Remembers how many photos a second the model in use indexes. */
  paced(photosPerSecond: number): void {
    const source = models.choice?.source;
    if (typeof source === "string" && photosPerSecond > 0) paces.set({ ...paces.get(), [source]: photosPerSecond });
  }

  /** Bytes of a model that are not here yet, as far as the catalogue knows. */
  async #download({ task, source, format }: Choice): Promise<number> {
    const listed = listedAs(source);
    const { choice } = modelsOf[task];
    if (!listed || (choice?.source === source && choice.format === format)) return 0;
    await kept.read();
    // Of a model that was never loaded to the end there are parts in the format in which it was begun: most likely the one asked for.
    const found = models.hashOf(source) ? models.formatOf(source) : format;
    // What was converted is no help with another format.
    if (found !== undefined && found !== format) return listed.bytes;
    const share = (kept.of(listed.source)?.bytes ?? 0) / bytesIn(listed, formatOf(found));
    return share > NEARLY_ALL ? 0 : listed.bytes * (1 - share);
  }

  /** Photos that the model in use has indexed, and the other has not. */
  async #again({ task, source }: Choice): Promise<number> {
    if (task !== "label") return 0;
    const [from, to] = [models.info?.modelHash, models.hashOf(source)];
    if (!from || from === to) return 0;
    const db = await database();
    const paths = async (hash: string) =>
      (await db.getAllKeys("embeddings", IDBKeyRange.bound([hash], [hash, []]))).map(([, path]) => path);
    const seen = new Set(to ? await paths(to) : []);
    return (await paths(from)).filter((path) => !seen.has(path)).length;
  }
}

export const switching = new Switching();

/** What some browsers say of the network: whether to save data, and its speed in megabits a second. */
function connection(): { saveData?: boolean; downlink?: number } {
  return (navigator as { connection?: { saveData?: boolean; downlink?: number } }).connection ?? {};
}
