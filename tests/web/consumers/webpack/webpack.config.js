/** @type {import("webpack").Configuration} */
export default {
  mode: "production",
  entry: "./main.js",
  // Of files beyond 244 kB, which the wasm files are.
  performance: { hints: false },
};
