/** For `addInitScript`: a browser that turns WebP files as their EXIF data says; `probes` counts its decoded files of two pixels. */
export function turnsWebp() {
  const own = globalThis.createImageBitmap;
  /** Of a TIFF entry: tag 0x0112, of one 16-bit number, in either order of bytes. */
  const entries = [
    [0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00],
    [0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01],
  ];
  const orientationOf = async (blob) => {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    if (String.fromCharCode(...bytes.subarray(8, 12)) !== "WEBP") return 1;
    for (let at = bytes.length - 10; at > 0; at--)
      for (const entry of entries)
        if (entry.every((byte, i) => bytes[at + i] === byte)) return bytes[at + 8] || bytes[at + 9];
    return 1;
  };
  /** Where the pixel at x, y of a picture of w × h goes. */
  const places = {
    2: (x, y, w) => [w - 1 - x, y],
    3: (x, y, w, h) => [w - 1 - x, h - 1 - y],
    4: (x, y, w, h) => [x, h - 1 - y],
    5: (x, y) => [y, x],
    6: (x, y, w, h) => [h - 1 - y, x],
    7: (x, y, w, h) => [h - 1 - y, w - 1 - x],
    8: (x, y, w) => [y, w - 1 - x],
  };
  globalThis.probes = 0;
  globalThis.createImageBitmap = async (source, ...options) => {
    const bitmap = await own(source, ...options);
    if (!(source instanceof Blob)) return bitmap;
    if (bitmap.width * bitmap.height === 2) globalThis.probes++;
    const place = places[await orientationOf(source)];
    if (!place) return bitmap;
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const from = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    const [w, h] = place(1, 0, 2, 1)[0] === place(0, 0, 2, 1)[0] ? [height, width] : [width, height];
    const to = new Uint32Array(from.length);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const [toX, toY] = place(x, y, width, height);
        to[toY * w + toX] = from[y * width + x];
      }
    return own(new ImageData(new Uint8ClampedArray(to.buffer), w, h));
  };
}
