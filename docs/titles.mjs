// A plugin of TypeDoc: documents are called what their first heading says, and keep the names of their files in addresses.
import { Converter, KindRouter } from "typedoc";

const files = new WeakMap();

class FileRouter extends KindRouter {
  getIdealBaseName(reflection) {
    const file = files.get(reflection);
    return file ? `documents/${file}` : super.getIdealBaseName(reflection);
  }
}

export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
    files.set(document, document.name);
    const heading = document.content.find(({ kind, text }) => kind === "text" && text.startsWith("# "));
    if (heading) document.name = /^# (.+)/.exec(heading.text)[1];
  });
  app.renderer.defineRouter("files", FileRouter);
}
