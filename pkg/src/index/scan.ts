import { withoutGpuErrors } from "../gpu.js";
import { STEP_BYTES, type Rows } from "./rows.js";
import type { IndexFormat } from "./types.js";
import ROWS_F32 from "../../../shaders/lib/rows_f32.wgsl";
import ROWS_INT8 from "../../../shaders/lib/rows_int8.wgsl";
import SCAN from "../../../shaders/scan.wgsl";

/** TypeScript's library has the types of these constants, but not the constants. */
declare const GPUBufferUsage: Record<"MAP_READ" | "COPY_SRC" | "COPY_DST" | "UNIFORM" | "STORAGE", number>;
declare const GPUMapMode: { READ: number };

/** Rows that lie interleaved. */
const BLOCK = inShader("BLOCK");
/** Rows that share one maximum. */
export const GROUP = inShader("GROUP");

/** A number that the shader says. */
function inShader(name: string): number {
  const [, value] = new RegExp(`const ${name}: u32 = (\\d+)u;`).exec(SCAN) ?? [];
  return Number(value);
}

/** The largest number of a query in 16 bits: 255 · 127 + 127, both halves at their largest. */
const PEAK = 32512;

/** Most bytes of rows in one upload. */
const PIECE_BYTES = 4 << 20;

/** Rows on the GPU, as many as fit into one buffer. */
interface Shard {
  /** Number of blocks that fit into the buffers. */
  blocks: number;
  rows: GPUBuffer;
  scales: GPUBuffer | undefined;
}

/** Number of 32-bit words that hold a bit for each row, in whole blocks. */
export function passWords(rows: number): number {
  return Math.ceil(rows / BLOCK) * (BLOCK / 32);
}

/** The search's half on the GPU: shaders/scan.wgsl, and a copy of the rows. */
export class Scan {
  readonly #shards: Shard[] = [];
  /** The state of the rows that the copy has: generation and count. */
  #generation = 0;
  #uploaded = 0;

  private constructor(
    readonly device: GPUDevice,
    readonly pipeline: GPUComputePipeline,
    /** Most bytes of a shard. */
    readonly maxBytes: number,
  ) {}

  /** Requests a device; undefined if there is no suitable GPU. */
  static async request(format: IndexFormat, maxBytes = Infinity): Promise<Scan | undefined> {
    const gpu = globalThis.navigator?.gpu as GPU | undefined;
    if (format === "int8" && !gpu?.wgslLanguageFeatures?.has("packed_4x8_integer_dot_product")) return undefined;
    const adapter = await gpu?.requestAdapter();
    if (!adapter) return undefined;
    const device = await adapter.requestDevice({ label: "ocelli index" });
    const module = device.createShaderModule({
      label: "scan",
      code: SCAN + (format === "int8" ? ROWS_INT8 : ROWS_F32),
    });
    const pipeline = await device.createComputePipelineAsync({ label: "scan", layout: "auto", compute: { module } });
    return new Scan(device, pipeline, Math.min(maxBytes, device.limits.maxStorageBufferBindingSize));
  }

  /**
   * The best score of each group of rows that `passes` lets through, for each unit vector of `queries`: within {@link slack} of the
   * exact one; far below -1 where no row passes. Fails if the GPU does.
   */
  async best(rows: Rows, passes: Uint32Array<ArrayBuffer>, queries: Float64Array[]): Promise<Float32Array[]> {
    const temporary: GPUBuffer[] = [];
    const buffer = (usage: number, size: number) => {
      const made = this.device.createBuffer({ label: "scan", usage, size });
      temporary.push(made);
      return made;
    };
    try {
      const groups = (passes.length * 32) / GROUP;
      const packed = queries.map((query) => pack(query, rows));
      const size = queries.length * groups * 4;
      const read = await withoutGpuErrors(this.device, () => {
        this.#upload(rows);
        const best = buffer(GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC, size);
        const read = buffer(GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST, size);
        const put = (usage: number, data: ArrayBufferView<ArrayBuffer>[]) => {
          const made = buffer(
            usage | GPUBufferUsage.COPY_DST,
            data.reduce((sum, { byteLength }) => sum + byteLength, 0),
          );
          let at = 0;
          for (const part of data) {
            this.device.queue.writeBuffer(made, at, part);
            at += part.byteLength;
          }
          return made;
        };
        const shared = [
          put(GPUBufferUsage.STORAGE, [passes]),
          put(
            GPUBufferUsage.STORAGE,
            packed.map(({ bytes }) => bytes),
          ),
          best,
        ];
        const encoder = this.device.createCommandEncoder();
        const pass = encoder.beginComputePass({ label: "scan" });
        pass.setPipeline(this.pipeline);
        let first = 0;
        for (const shard of this.#shards) {
          const blocks = Math.max(0, Math.min(shard.blocks, passes.length / (BLOCK / 32) - first));
          const params = put(GPUBufferUsage.UNIFORM, [
            new Uint32Array([rows.stride / STEP_BYTES, first, groups, queries.length]),
          ]);
          pass.setBindGroup(0, this.#bind(0, [params, ...shared]));
          pass.setBindGroup(1, this.#bind(1, shard.scales ? [shard.rows, shard.scales] : [shard.rows]));
          pass.dispatchWorkgroups(blocks);
          first += blocks;
        }
        pass.end();
        encoder.copyBufferToBuffer(best, 0, read, 0, size);
        this.device.queue.submit([encoder.finish()]);
        return read;
      });
      await read.mapAsync(GPUMapMode.READ);
      const all = new Float32Array(read.getMappedRange());
      return packed.map(({ step }, q) => all.slice(q * groups, (q + 1) * groups).map((score) => score * step));
    } finally {
      for (const used of temporary) used.destroy();
    }
  }

  dispose(): void {
    this.device.destroy();
  }

  #bind(group: number, buffers: GPUBuffer[]): GPUBindGroup {
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    return this.device.createBindGroup({ layout: this.pipeline.getBindGroupLayout(group), entries });
  }

  /** Updates the copy: new rows, or all rows if they have moved. */
  #upload(rows: Rows): void {
    if (rows.generation !== this.#generation) this.#uploaded = 0;
    const blockBytes = BLOCK * rows.stride;
    const room = Math.max(
      1,
      Math.min(Math.floor(this.maxBytes / blockBytes), this.device.limits.maxComputeWorkgroupsPerDimension),
    );
    const blocks = Math.ceil(rows.count / BLOCK);
    for (const { rows, scales } of this.#shards.splice(Math.ceil(blocks / room)))
      [rows, scales].forEach((buffer) => buffer?.destroy());
    for (let first = 0, at = 0; first < blocks; first += room, at++) {
      const end = Math.min(first + room, blocks);
      let from = Math.max(first, Math.floor(this.#uploaded / BLOCK));
      const old = this.#shards[at];
      if ((old?.blocks ?? 0) < end - first) {
        [old?.rows, old?.scales].forEach((buffer) => buffer?.destroy());
        // Room to grow, so that one more image does not move all the others.
        this.#shards[at] = this.#shard(Math.min(room, 2 ** Math.ceil(Math.log2(end - first))), rows);
        from = first;
      }
      const shard = this.#shards[at] as Shard;
      const piece = Math.ceil(PIECE_BYTES / blockBytes);
      for (; from < end; from += piece) {
        const to = Math.min(from + piece, end);
        this.device.queue.writeBuffer(shard.rows, (from - first) * blockBytes, interleave(rows, from, to));
        const scales = rows.scales(from * BLOCK, Math.min(to * BLOCK, rows.count));
        if (shard.scales) this.device.queue.writeBuffer(shard.scales, (from - first) * BLOCK * 4, scales);
      }
    }
    [this.#uploaded, this.#generation] = [rows.count, rows.generation];
  }

  #shard(blocks: number, { stride, format }: Rows): Shard {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = (label: string, bytes: number) =>
      this.device.createBuffer({ label, usage, size: blocks * BLOCK * bytes });
    return { blocks, rows: buffer("rows", stride), scales: format === "int8" ? buffer("scales", 4) : undefined };
  }
}

/** Blocks of rows as the shader reads them: the first step of each row of a block, then the second, and so on. */
function interleave(rows: Rows, first: number, end: number): Uint32Array<ArrayBuffer> {
  const steps = rows.stride / STEP_BYTES;
  const bytes = rows.bytes(first * BLOCK, Math.min(end * BLOCK, rows.count));
  const from = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const to = new Uint32Array((end - first) * BLOCK * steps * 4);
  for (let at = 0, row = 0; at < from.length; row++) {
    let place = (Math.floor(row / BLOCK) * steps * BLOCK + (row % BLOCK)) * 4;
    for (let s = 0; s < steps; s++, place += BLOCK * 4) {
      for (let word = 0; word < 4; word++) to[place + word] = from[at++] as number;
    }
  }
  return to;
}

/** The query as the shader reads it. Its scores times `step` are cosines. */
function pack(query: Float64Array, { stride, format }: Rows): { bytes: ArrayBufferView<ArrayBuffer>; step: number } {
  if (format === "f32") {
    const numbers = new Float32Array(stride / 4);
    numbers.set(query);
    return { bytes: numbers, step: 1 };
  }
  const step = stepOf(query);
  const halves = new Int8Array(stride * 2);
  query.forEach((x, d) => {
    const whole = Math.round(x / step);
    const high = Math.round(whole / 255);
    const at = Math.floor(d / STEP_BYTES) * STEP_BYTES * 2 + (d % STEP_BYTES);
    halves[at] = high;
    halves[at + STEP_BYTES] = whole - 255 * high;
  });
  return { bytes: halves, step };
}

function stepOf(query: Float64Array): number {
  return query.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / PEAK;
}

/**
 * How far a score of the GPU can be from the exact one; both vectors have unit length, so that Σ|q·r| is at most 1.
 * - f32: each of the dim / 4 + 4 sums in a chain, and the query itself, is rounded, in whatever direction: 2^-23 of 1 each time.
 * - int8: the query by half a step in each number, so by √dim / 2 steps against a unit row; the sums are exact, and what makes one
 *   number of them rounds five times.
 */
export function slack(query: Float64Array, format: IndexFormat): number {
  const dim = query.length;
  return format === "f32" ? (dim / 4 + 8) * 2 ** -23 : (Math.sqrt(dim) / 2) * stepOf(query) + 8 * 2 ** -23;
}
