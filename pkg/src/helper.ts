import { modules, start } from "./wasm.js";
import type { CpuPart, WasmOptions } from "./types.js";

/** What a helper is told: to make room for a weight, to fill it, or to compute a part of a step. */
export type Message =
  | ["room", format: string, rows: number, cols: number]
  | ["write", index: number, scales: boolean, offset: number, bytes: Uint8Array]
  | ["run", work: string, first: number, inputs: Float32Array];

/** Its answer: how many bytes it has written, or what the part came to. */
export type Answer = ["wrote", number] | ["ran", Float32Array];

/** A worker that may become a helper. */
export interface HelperEntry {
  help(part: CpuPart, options: WasmOptions): Promise<void>;
  lock(name: string): Promise<boolean>;
}

/** Makes this worker a helper: it holds slices of a model's weights and computes what its leader asks for. An error ends it. */
export async function help(part: CpuPart, options: WasmOptions): Promise<void> {
  await start(part, options, undefined);
  const helper = new modules[part].Helper();
  const leader = globalThis as unknown as Worker;
  const answer = (what: Answer, transfer: Transferable[] = []) => leader.postMessage(what, transfer);
  leader.addEventListener("message", ({ data }: MessageEvent<Message | object>) => {
    // Others are comlink's.
    if (!Array.isArray(data)) return;
    const message = data as Message;
    switch (message[0]) {
      case "room":
        return helper.makeRoom(message[1], message[2], message[3]);
      case "write":
        helper.write(message[1], message[2], message[3], message[4]);
        return answer(["wrote", message[4].byteLength]);
      case "run": {
        const found = helper.run(message[1], message[2], message[3]);
        return answer(["ran", found], [found.buffer]);
      }
    }
  });
}
