import resolve from "@rollup/plugin-node-resolve";

/** @type {import("rollup").RollupOptions} */
export default {
  input: { main: "main.js", worker: "ocelli/worker" },
  output: { dir: "dist" },
  plugins: [resolve()],
};
