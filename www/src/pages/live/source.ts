export type Kind = "camera" | "screen";

/** Why there is nothing to watch, and a way out. */
export class SourceError extends Error {
  constructor(
    readonly title: string,
    message: string,
  ) {
    super(message);
  }
}

/** Phones cannot share their screen with a page. */
export const screens = typeof navigator.mediaDevices?.getDisplayMedia === "function";

/**
 * A camera, or a screen, window or tab that the user chooses.
 *
 * @param camera Its id; another one is taken where it is no longer there.
 * @throws {SourceError}
 */
export async function open(kind: Kind, camera: string): Promise<MediaStream> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices)
    throw new SourceError(
      "This page can't use a camera",
      "Browsers allow that over https only, and on this machine's own pages.",
    );
  try {
    if (kind === "screen") return await devices.getDisplayMedia({ video: true, audio: false });
    // As sharp as any model sees it, and on a phone what lies before the user.
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    return await devices.getUserMedia({
      audio: false,
      video: { ...size, ...(camera ? { deviceId: { exact: camera } } : { facingMode: { ideal: "environment" } }) },
    });
  } catch (error) {
    if (camera && (error as DOMException).name === "OverconstrainedError") return open(kind, "");
    throw inWords(kind, error as DOMException);
  }
}

function inWords(kind: Kind, { name, message }: DOMException): SourceError {
  if (kind === "screen") {
    if (name === "NotAllowedError")
      return new SourceError(
        "No screen was chosen",
        "Press “Watch a screen” again to choose a screen, a window or a tab.",
      );
    return new SourceError("The screen can't be watched", message);
  }
  if (name === "NotAllowedError") {
    return new SourceError(
      "The camera is blocked",
      "Allow it next to the page's address or in the browser's settings, then start again.",
    );
  }
  if (name === "NotFoundError")
    return new SourceError(
      "No camera found",
      `Plug one in, then start again.${screens ? " Or watch a screen or a tab." : ""}`,
    );
  if (name === "NotReadableError" || name === "AbortError")
    return new SourceError(
      "The camera isn't responding",
      "Another program may be using it. Close that one, then start again.",
    );
  return new SourceError("The camera can't be used", message);
}

/** The error for a source that ends by itself. */
export function ended(kind: Kind): SourceError {
  if (kind === "screen")
    return new SourceError("The screen is no longer shared", "Press “Watch a screen” to choose another one.");
  return new SourceError("The camera was disconnected", "Plug it in again or choose another one, then start again.");
}

/** The cameras of this device. Their names are known once one of them was allowed. */
export async function cameras(): Promise<MediaDeviceInfo[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return all.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId !== "");
}

/** Who looks at a camera expects a mirror; what a phone's back camera or a screen shows has its own left and right. */
export function mirrored(kind: Kind, stream: MediaStream): boolean {
  return kind === "camera" && stream.getVideoTracks()[0]?.getSettings().facingMode !== "environment";
}
