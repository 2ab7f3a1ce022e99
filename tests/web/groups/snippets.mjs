// The code in README and guides: type-checked against the package, each document as one program from top to bottom.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { complaints } from "../lib/types.mjs";

export function snippets({ report, site, root }) {
  const group = report.group("code in README and guides");
  const guides = readdirSync(join(root, "docs", "guides")).map((name) => join("docs", "guides", name));
  for (const document of ["README.md", join("pkg", "README.md"), ...guides]) {
    const program = programOf(readFileSync(join(root, document), "utf8"));
    group.holds(`${document}: has code`, /\b((Ocelli|Detector|Segmenter|Vlm)\.load|pipeline)\(/.test(program));
    group.same(document, complaints({ site, root }, program), "");
    if (document === "README.md")
      group.rejects(
        "a method that is not there",
        complaints({ site, root }, program.replace("embedText(", "embedWords(")),
        "",
      );
  }
}

function programOf(markdown) {
  return [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code).join("\n");
}
