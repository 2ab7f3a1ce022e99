import { Ocelli } from "/site/node_modules/ocelli/dist/index.js";

onmessage = async ({ data: { folder, url } }) => {
  try {
    const model = await Ocelli.load(folder, { backend: "webgpu" });
    const embedding = await model.embedImage(await (await fetch(url)).blob());
    model.dispose();
    postMessage({ embedding: Array.from(embedding) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
