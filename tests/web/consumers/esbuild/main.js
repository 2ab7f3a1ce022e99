import cpu from "ocelli/ocelli_cpu.wasm";
import cpuRelaxed from "ocelli/ocelli_cpu_relaxed.wasm";
import gpu from "ocelli/ocelli.wasm";
import tokenizer from "ocelli/ocelli_tokenizer.wasm";
import { app } from "../app.js";

const beside = (file) => new URL(file, import.meta.url);
const wasmUrl = { cpu: beside(cpu), cpuRelaxed: beside(cpuRelaxed), gpu: beside(gpu), tokenizer: beside(tokenizer) };
app({ wasmUrl, workerUrl: beside("worker.js") });
