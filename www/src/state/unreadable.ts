/** Formats that some browsers can't open, by the end of a file's name. */
const RARE = /\.(hei[cf]|tiff?|avif|jxl)$/i;

/** The browser's own name; Edge and the like say that they are Chrome, too, and behave as it does. */
function browser(): string {
  const { userAgent } = navigator;
  if (userAgent.includes("Firefox/")) return "Firefox";
  if (userAgent.includes("Edg/")) return "Edge";
  if (userAgent.includes("Chrome/")) return "Chrome";
  return userAgent.includes("Safari/") ? "Safari" : "This browser";
}

/** Why the browser cannot open an image file, by its name, and what to do about it. */
export function unreadable(name: string): string {
  const kind = RARE.exec(name)?.[1]?.toUpperCase();
  if (!kind) return "The browser can't decode this image.";
  const other = browser() === "Safari" ? "" : ", or use Safari";
  return `${browser()} can't open ${kind}. Export as JPEG${other}.`;
}
