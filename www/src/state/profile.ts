/**
 * The colour space of a picture by the beginning of its file: sRGB if it names none. Of other profiles only Display P3, which phones write,
 * is told apart.
 */
export function profileOf(head: Uint8Array): "srgb" | "display-p3" | "other" {
  // One character a byte, whatever the bytes mean.
  const text = new TextDecoder("latin1").decode(head);
  if (!/ICC_PROFILE\0|iCCP|ICCP/.test(text)) return "srgb";
  // A profile's name is in ASCII, or in UTF-16 with the high byte first.
  if (/sRGB|s\0R\0G\0B/.test(text)) return "srgb";
  return /Display P3|D\0i\0s\0p\0l\0a\0y\0 \0P\x003/.test(text) ? "display-p3" : "other";
}

/** Whether a file is a WebP with a camera's data, which may say that it lies on its side: not every browser turns it. */
export function maybeTurnedWebp(head: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(head.subarray(0, 21));
  return text.startsWith("RIFF") && text.slice(8, 16) === "WEBPVP8X" && ((head[20] ?? 0) & 0x08) !== 0;
}
