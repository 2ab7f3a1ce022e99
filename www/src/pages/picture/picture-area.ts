import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { Arrivals, pictureIn } from "../../parts/arrivals.ts";
import { pictureOf, PictureError, type Origin } from "../../state/picture.ts";
import { sampleFile, samples } from "../../state/samples.ts";
import { shown } from "../../state/shown.ts";
import "./camera-dialog.ts";
import { hasScreens, screenStill } from "./capture.ts";

/** The picture and all ways to another one: samples, files, drop, paste, camera, screen. Only the newest counts. */
class PictureArea extends Part {
  static override properties = { layer: { attribute: false } };
  /** What the tool draws over the picture, whose edges are those of its parent. */
  declare layer: HTMLElement | undefined;
  #newest = 0;
  #trouble = "";
  readonly #arrivals = new Arrivals(
    this,
    (data) => this.#dropped(data),
    (picture) => this.#file(picture),
  );

  constructor() {
    super();
    this.watch(shown);
    // There is one already that was opened elsewhere.
    if (!shown.picture) this.#sample(samples[0] as string);
  }

  protected override render() {
    const { picture } = shown;
    return html` <div class="stage ${this.#arrivals.over ? "over" : ""}">
        ${
          picture
            ? html`<img src=${picture.address} alt=${picture.name} />
                <div class="frame" .style=${`--ratio: ${picture.width / picture.height}`}>
                  ${this.layer ?? nothing}
                </div>`
            : nothing
        }
      </div>
      <div class="samples" role="group" aria-label="Sample images">
        ${samples.map(
          (name) =>
            html`<button
              type="button"
              title=${name}
              data-sample=${name}
              aria-pressed=${String(picture?.sample === name)}
              @click=${() => this.#sample(name)}
            >
              <img src="./samples/${name}.png" alt=${name} width="60" height="54" />
            </button>`,
        )}
      </div>
      <div class="pick">
        <input
          id="picture-file"
          type="file"
          accept="image/*"
          class="hidden"
          @change=${(event: Event) => this.#picked(event.target as HTMLInputElement)}
        />
        <label for="picture-file" class="button primary">Choose an image</label>
        <button type="button" @click=${() => this.#camera()}>Camera</button>
        ${hasScreens() ? html`<button type="button" @click=${() => this.#take(screenStill(), "Your screen", "screen")}>Screen</button>` : nothing}
        <p class="small hint">Or drop or paste one anywhere on this page.</p>
      </div>
      <p class="wrong" role="alert">${this.#trouble}</p>
      <ocelli-camera-dialog
        .taken=${(still: Blob) => this.#take(Promise.resolve(still), "Your photo from the camera", "camera")}
      ></ocelli-camera-dialog>`;
  }

  #sample(name: string): void {
    if (shown.picture?.sample === name) {
      this.#newest++; // whatever else is on its way
      return this.#say("");
    }
    void this.#take(sampleFile(name), `Sample drawing: ${name}`, { sample: name });
  }

  #picked(input: HTMLInputElement): void {
    const file = input.files?.[0];
    if (file) this.#file(file);
    input.value = ""; // so that the same file can be picked again
  }

  #file(file: File): void {
    void this.#take(Promise.resolve(file), `Your image, ${file.name || "pasted"}`);
  }

  async #take(source: Promise<Blob>, name: string, origin?: Origin): Promise<void> {
    const turn = ++this.#newest;
    try {
      const picture = await pictureOf(await source, name, origin);
      if (turn !== this.#newest) return URL.revokeObjectURL(picture.address);
      shown.take(picture);
      this.#say("");
    } catch (error) {
      if (turn === this.#newest)
        this.#say(
          error instanceof PictureError ? error.message : `${name} can't be fetched. The previous image stays.`,
        );
    }
  }

  #say(trouble: string): void {
    this.#trouble = trouble;
    this.requestUpdate();
  }

  #camera(): void {
    this.querySelector("ocelli-camera-dialog")
      ?.open()
      .catch((error: Error) => this.#say(error.message));
  }

  #dropped(data: DataTransfer): void {
    const file = pictureIn(data);
    if (file) this.#file(file);
    else this.#say("That is not an image file. The previous image stays.");
  }
}

customElements.define("ocelli-picture-area", PictureArea);
