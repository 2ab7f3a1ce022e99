// For a worker's start: tells on a channel how large the wasm memories in here are. They never shrink, so their size is their peak.
const memories = [];
for (const name of ["instantiate", "instantiateStreaming"]) {
  const original = WebAssembly[name];
  WebAssembly[name] = async (...args) => {
    const result = await original.apply(WebAssembly, args);
    memories.push(Object.values((result.instance ?? result).exports).find((one) => one instanceof WebAssembly.Memory));
    return result;
  };
}
const channel = new BroadcastChannel("memories");
channel.onmessage = ({ data }) => {
  if (data === "how large") channel.postMessage(memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
};
