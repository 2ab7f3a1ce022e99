import type { Ocelli } from "ocelli";
import { stopTracks } from "../../parts/dom.ts";
import { parseLabels } from "../../state/label-list.ts";
import type { Finder, Framed } from "../../state/finder.ts";
import { detectors, models } from "../../state/models.ts";
import { LEAST } from "../../state/show-from.ts";
import { remembered, Store } from "../../state/store.ts";
import { Meter, Smoothed } from "./smoothing.ts";
import { cameras, ended, mirrored, open, type Kind } from "./source.ts";

/** Whether anyone can see the page: `away` while another window or tab hides it, `left` while another page of the app is shown. */
export type Seen = "shown" | "away" | "left";

/** What looks at the frames. */
export type LiveTool = "label" | "find";

/** Of boxes that overlap by more than this, the best one is kept. */
const OVERLAP = 0.5;
const MOST_BOXES = 50;

const words = remembered("live.words", "person, cup, phone");
const lastCamera = remembered("camera", "");
const smoothing = remembered("smoothing", 0.5);

/**
 * A camera or a screen, and what the model makes of its frames: one frame at a time, as fast as the device allows. The camera is
 * off whenever nobody can see the page, and comes back with it.
 */
class Watching extends Store {
  readonly video = document.createElement("video");
  wanted: "off" | "on" | "paused" = "off";
  #tool: LiveTool = "label";
  kind: Kind = "camera";
  cameras: MediaDeviceInfo[] = [];
  /** The frames' embedding, smoothed; undefined before the first. */
  embedding: Float32Array | undefined;
  /** The model that computed `embedding`. */
  model: Ocelli | undefined;
  /** What was found in the last frame, with the words that were asked; undefined before the first. */
  found: { boxes: readonly Framed[]; words: readonly string[] } | undefined;
  /** Why there is nothing to watch, or why the model failed. */
  failed: unknown;
  /** Frames that were judged since the start. */
  frames = 0;
  readonly meter = new Meter();
  #seen: Seen = "left";
  #stream: MediaStream | undefined;
  #opening = false;
  /** Each opening has its own: whoever asked for an older one has changed their mind. */
  #turn = 0;
  readonly #smoothed = new Smoothed();
  #asked = 0;
  #busy = false;
  /** Whether a frame came while the model was busy with another one. */
  #missed = false;

  constructor() {
    super();
    this.video.muted = true;
    this.video.playsInline = true;
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#list());
  }

  /** Whether a picture is visible, moving or frozen. */
  get visible(): boolean {
    return this.#stream !== undefined || (this.wanted === "paused" && this.frames > 0);
  }

  get tool(): LiveTool {
    return this.#tool;
  }

  /** Takes another tool; what the last one has found is of no use. */
  set tool(tool: LiveTool) {
    if (tool === this.#tool) return;
    this.#tool = tool;
    this.#forget();
    this.#settle();
  }

  /** What to find, with commas between. */
  get text(): string {
    return words.get();
  }

  write(text: string): void {
    words.set(text);
    this.changed();
  }

  /** Whether a source is being opened. The browser may be asking the user for permission. */
  get opening(): boolean {
    return this.#opening;
  }

  /** The id of the camera in use, or of the one used last. */
  get camera(): string {
    return lastCamera.get();
  }

  /** Seconds over which frames are smoothed; 0 uses the last frame alone. */
  get seconds(): number {
    return smoothing.get();
  }

  set seconds(seconds: number) {
    smoothing.set(seconds);
    this.changed();
  }

  start(kind: Kind): void {
    this.#close();
    this.#forget();
    this.kind = kind;
    this.wanted = "on";
    this.#settle();
  }

  choose(camera: string): void {
    lastCamera.set(camera);
    if (this.wanted !== "off" && this.kind === "camera") this.start("camera");
    else this.changed();
  }

  pause(): void {
    this.wanted = "paused";
    this.#settle();
  }

  resume(): void {
    this.wanted = "on";
    this.failed = undefined;
    this.meter.forget();
    this.#settle();
  }

  stop(): void {
    this.wanted = "off";
    this.#forget();
    this.#settle();
  }

  see(seen: Seen): void {
    this.#seen = seen;
    // A screen is shared by the user's own choice, which a page cannot make again.
    if (seen === "left" && this.kind === "screen" && this.wanted !== "off") return this.stop();
    this.meter.forget();
    this.#settle();
  }

  /** Starts or stops camera and frames, as `wanted` and the visibility of the page require. */
  #settle(): void {
    // Whoever watches a screen looks at something else meanwhile; a hidden page gets no frames.
    const shown = this.#seen === "shown" || (this.kind === "screen" && this.#seen === "away");
    if (this.wanted === "off" || !shown) this.#close();
    else if (this.wanted === "on" && !this.#stream && !this.#opening) void this.#open();
    if (this.wanted === "on" && this.#stream) {
      this.video.play().catch(() => {}); // ended before it began
      this.#ask();
    } else {
      this.video.pause();
      this.#unask();
    }
    this.changed();
  }

  async #open(): Promise<void> {
    const turn = ++this.#turn;
    const { kind } = this;
    this.#opening = true;
    try {
      const stream = await open(kind, this.camera);
      if (turn !== this.#turn) return stopTracks(stream);
      this.#take(stream);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.failed = error;
      this.wanted = "off";
    }
    this.#opening = false;
    this.#settle();
  }

  #take(stream: MediaStream): void {
    this.#stream = stream;
    this.failed = undefined;
    for (const track of stream.getVideoTracks()) {
      // Not told of a track that the page itself has stopped.
      track.addEventListener("ended", () => {
        if (this.#stream !== stream) return;
        this.stop();
        this.failed = ended(this.kind);
      });
    }
    this.video.srcObject = stream;
    this.video.classList.toggle("mirrored", mirrored(this.kind, stream));
    if (this.kind !== "camera") return;
    const { deviceId } = stream.getVideoTracks()[0]?.getSettings() ?? {};
    if (deviceId) lastCamera.set(deviceId);
    void this.#list();
  }

  #close(): void {
    this.#turn++;
    this.#opening = false;
    if (this.#stream) stopTracks(this.#stream);
    this.#stream = undefined;
    // A paused picture stays to be looked at.
    if (this.wanted !== "paused") this.video.srcObject = null;
  }

  #forget(): void {
    this.failed = this.embedding = this.found = undefined;
    this.frames = 0;
    this.#smoothed.forget();
    this.meter.forget();
  }

  async #list(): Promise<void> {
    this.cameras = await cameras();
    this.changed();
  }

  #ask(): void {
    this.#unask();
    this.#asked =
      "requestVideoFrameCallback" in this.video
        ? this.video.requestVideoFrameCallback(this.#frame)
        : requestAnimationFrame(this.#frame);
  }

  #unask(): void {
    if ("cancelVideoFrameCallback" in this.video) this.video.cancelVideoFrameCallback(this.#asked);
    else cancelAnimationFrame(this.#asked);
  }

  readonly #frame = (): void => {
    this.#ask();
    if (this.#busy) this.#missed = true;
    else void this.#look();
  };

  async #look(): Promise<void> {
    const store = this.#tool === "find" ? detectors : models;
    const { model } = store;
    if (!model || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    const [stream, tool, before] = [this.#stream, this.#tool, performance.now()];
    // Otherwise its stream has ended, or another model or tool has come: the next frame is another matter.
    const stands = () => stream === this.#stream && model === store.model && tool === this.#tool;
    this.#busy = true;
    this.#missed = false;
    try {
      const learn = await ("detect" in model ? this.#find(model) : this.#embed(model, before));
      if (stands()) {
        learn();
        const now = performance.now();
        this.meter.add(now, now - before);
        this.frames++;
        this.changed();
      }
    } catch (error) {
      if (stands() && this.wanted === "on") {
        this.pause();
        this.failed = error;
      }
    }
    this.#busy = false;
    if (this.#missed && this.wanted === "on" && this.#stream) void this.#look();
  }

  /** Looks at a frame; what is returned takes the answer over. */
  async #embed(model: Ocelli, before: number): Promise<() => void> {
    const embedding = await model.embedImage(this.video);
    return () => {
      if (model !== this.model) this.#smoothed.forget();
      this.model = model;
      this.embedding = this.#smoothed.add(embedding, before, this.seconds);
    };
  }

  async #find(model: Finder): Promise<() => void> {
    const words = parseLabels(this.text);
    const boxes =
      words.length > 0
        ? await model.detect(this.video, words, { threshold: LEAST, nms: OVERLAP, topK: MOST_BOXES })
        : [];
    return () => (this.found = { boxes, words });
  }
}

export const watching = new Watching();
