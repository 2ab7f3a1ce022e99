import { fileURLToPath } from "node:url";

/** @type {import("next").NextConfig} */
export default {
  output: "export",
  // Where the test's server has it, and where the app's one source file lies.
  basePath: "/next/out",
  turbopack: { root: fileURLToPath(new URL("..", import.meta.url)) },
};
