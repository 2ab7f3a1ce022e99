/** Small files in the safetensors format, which NumPy, PyTorch and others read. */

/** Rows of numbers. */
export interface Tensor {
  shape: [number, number];
  data: Float32Array;
}

/** Anything that a file holds. */
interface Entry {
  dtype?: "F32" | "I8" | "U8";
  shape: readonly number[];
  data: ArrayBufferView<ArrayBufferLike>;
}

/** Eight bytes with the header's length, the header (padded, so that the numbers are aligned), and the numbers: of f32, if nothing else is said. */
export function writeSafetensors(tensors: Record<string, Entry>, metadata: Record<string, string>): Blob {
  let at = 0;
  const entries = Object.entries(tensors).map(([name, { dtype = "F32", shape, data }]) => [
    name,
    { dtype, shape, data_offsets: [at, (at += data.byteLength)] },
  ]);
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  return new Blob([header, ...Object.values(tensors).map(({ data }) => data as ArrayBufferView<ArrayBuffer>)]);
}

/** What {@link writeSafetensors} wrote, of f32 alone. Throws an `Error` that says what is wrong with it. */
export async function readSafetensors(
  file: Blob,
): Promise<{ tensors: Record<string, Tensor>; metadata: Record<string, string> }> {
  const bytes = await file.arrayBuffer();
  const length = bytes.byteLength < 8 ? NaN : Number(new DataView(bytes).getBigUint64(0, true));
  const start = 8 + length;
  if (!(start % 4 === 0 && start <= bytes.byteLength))
    throw new Error("expected a safetensors file, found something else or a part of one");
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(
    new TextDecoder().decode(new Uint8Array(bytes, 8, length)),
  ) as {
    __metadata__?: Record<string, string>;
    [name: string]: unknown;
  };
  const tensors: Record<string, Tensor> = {};
  for (const [name, entry] of Object.entries(entries)) {
    const {
      dtype,
      shape,
      data_offsets: [from, to],
    } = entry as { dtype: string; shape: [number, number]; data_offsets: [number, number] };
    const size = shape[0] * shape[1];
    if (dtype !== "F32" || shape.length !== 2 || to - from !== size * 4 || !(start + to <= bytes.byteLength)) {
      throw new Error(
        `${name}: expected rows of F32 in the file, found ${dtype}, ${String(shape)}, bytes ${from} to ${to} of ${bytes.byteLength - start}`,
      );
    }
    const data = new Float32Array(bytes, start + from, size);
    if (!data.every(Number.isFinite)) throw new Error(`${name}: expected finite numbers`);
    tensors[name] = { shape, data };
  }
  return { tensors, metadata };
}
