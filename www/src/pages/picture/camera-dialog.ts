import { html, nothing } from "lit";
import { Part } from "../../element.ts";
import { stopTracks } from "../../parts/dom.ts";
import { camera, stillOf } from "./capture.ts";

/** The camera's picture, until one is taken of it. The camera is on only while this is open. */
class CameraDialog extends Part {
  static override properties = { taken: { attribute: false } };
  declare taken: (still: Blob) => void;
  #stream: MediaStream | undefined;
  #wrong = "";

  /** @throws {PictureError} If there is no camera. */
  async open(): Promise<void> {
    if (this.#stream) return;
    this.#stream = await camera();
    this.#wrong = "";
    this.requestUpdate();
    await this.updateComplete;
    // While the user was asked, the page may have gone.
    if (this.isConnected) this.querySelector("dialog")?.showModal();
    else this.#off();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#off();
  }

  protected override render() {
    return html`<dialog class="camera" aria-labelledby="camera-title" @close=${() => this.#off()}>
      <h2 id="camera-title">Camera</h2>
      <video muted playsinline autoplay aria-label="What the camera sees" .srcObject=${this.#stream ?? null}></video>
      ${this.#wrong ? html`<p class="wrong" role="alert">${this.#wrong}</p>` : nothing}
      <div class="row">
        <button type="button" class="primary" @click=${() => void this.#take()}>Take photo</button>
        <button type="button" @click=${() => this.querySelector("dialog")?.close()}>Close</button>
      </div>
    </dialog>`;
  }

  async #take(): Promise<void> {
    try {
      this.taken(await stillOf(this.querySelector("video") as HTMLVideoElement));
      this.querySelector("dialog")?.close();
    } catch (error) {
      this.#wrong = error instanceof Error ? error.message : String(error);
      this.requestUpdate();
    }
  }

  #off(): void {
    if (this.#stream) stopTracks(this.#stream);
    this.#stream = undefined;
    this.requestUpdate();
  }
}

customElements.define("ocelli-camera-dialog", CameraDialog);

declare global {
  interface HTMLElementTagNameMap {
    "ocelli-camera-dialog": CameraDialog;
  }
}
