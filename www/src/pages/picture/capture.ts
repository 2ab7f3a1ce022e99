import { stopTracks } from "../../parts/dom.ts";
import { PictureError, pngOf } from "../../state/picture.ts";

/** Milliseconds that a screen's first frame is waited for: behind another window the browser draws none. */
const FIRST_FRAME = 1000;

/** @throws {PictureError} If there is no camera to be had. */
export async function camera(): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new PictureError("This page can't use a camera: browsers allow that over https only. Choose a file instead.");
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  } catch (cause) {
    throw new PictureError(cameraTrouble(cause), { cause });
  }
}

function cameraTrouble(error: unknown): string {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError")
    return "The camera is blocked for this page. Allow it in the browser's settings, or choose a file.";
  if (name === "NotFoundError" || name === "OverconstrainedError")
    return "No camera was found. Plug one in, or choose a file.";
  if (name === "NotReadableError")
    return "The camera can't be used. Another program may have it: close that one and try again.";
  return `The camera didn't start: ${error instanceof Error ? error.message : String(error)}`;
}

export const hasScreens = (): boolean => typeof navigator.mediaDevices?.getDisplayMedia === "function";

/**
 * One frame of a screen, window or tab that the user chooses.
 *
 * @throws {PictureError} If the user chooses none, or it cannot be had.
 */
export async function screenStill(): Promise<Blob> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
  } catch (cause) {
    const refused = cause instanceof Error && cause.name === "NotAllowedError";
    throw new PictureError(
      refused ? "No screen was chosen. The previous image stays." : `The screen can't be captured: ${String(cause)}`,
      { cause },
    );
  }
  try {
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = stream;
    const drawn = new Promise((resolve) => video.requestVideoFrameCallback?.(resolve));
    await video.play();
    await Promise.race([drawn, new Promise((resolve) => setTimeout(resolve, FIRST_FRAME))]);
    return await stillOf(video);
  } finally {
    stopTracks(stream);
  }
}

/** What a video shows now. */
export async function stillOf(video: HTMLVideoElement): Promise<Blob> {
  if (video.videoWidth === 0) throw new PictureError("The camera isn't ready yet. Try again.");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return pngOf(canvas);
}
