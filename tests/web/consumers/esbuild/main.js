import cpu from "ocelli/ocelli_cpu.wasm";
import gpu from "ocelli/ocelli.wasm";
import tokenizer from "ocelli/ocelli_tokenizer.wasm";
import { app } from "../app.js";

const beside = (file) => new URL(file, import.meta.url);
app({ wasmUrl: { cpu: beside(cpu), gpu: beside(gpu), tokenizer: beside(tokenizer) }, workerUrl: beside("worker.js") });
