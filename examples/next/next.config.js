/** @type {import("next").NextConfig} */
export default {
  output: "export", // static files, in out/: no part of this app needs a server
};
