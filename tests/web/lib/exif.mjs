// A photo's date as cameras write it, for tests.

/** A JPEG file with EXIF that says when it was taken: "2019:07:04 12:30:00". */
export function withDate(jpeg, date) {
  const entry = (tag, type, count, value) => {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16LE(tag, 0);
    bytes.writeUInt16LE(type, 2);
    bytes.writeUInt32LE(count, 4);
    bytes.writeUInt32LE(value, 8);
    return bytes;
  };
  const directory = (one) => Buffer.concat([Buffer.from([1, 0]), one, Buffer.alloc(4)]);
  const tiff = Buffer.concat([
    Buffer.from("II*\0\x08\0\0\0", "latin1"),
    directory(entry(0x8769, 4, 1, 26)),
    directory(entry(0x9003, 2, 20, 44)),
    Buffer.from(`${date}\0`, "latin1"),
  ]);
  const exif = Buffer.concat([Buffer.from("Exif\0\0", "latin1"), tiff]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(exif.length + 2);
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xe1]), length, exif, jpeg.subarray(2)]);
}
