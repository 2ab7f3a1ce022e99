// The code in README and guides: type-checked against the package, each document as one program from top to bottom. Code of frameworks,
// which TypeScript alone does not read, is that of the examples.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { complaints } from "../lib/types.mjs";

export function snippets({ report, site, root }) {
  const group = report.group("code in README and guides");
  const guides = readdirSync(join(root, "docs", "guides")).filter((name) => name !== "README.md");
  for (const document of [
    "README.md",
    join("pkg", "README.md"),
    ...guides.map((name) => join("docs", "guides", name)),
  ]) {
    const program = blocksOf(read(root, document), "ts").join("\n");
    group.holds(`${document}: has code`, /\b((Ocelli|Detector|Segmenter|Vlm)\.load|pipeline)\(/.test(program));
    group.same(document, complaints({ site, root }, program), "");
    if (document === "README.md")
      group.rejects(
        "a method that is not there",
        complaints({ site, root }, program.replace("embedText(", "embedWords(")),
        "",
      );
  }
  const examples = readdirSync(join(root, "examples"), { recursive: true })
    .filter((path) => /\.(jsx?|vue|svelte)$/.test(path) && !/node_modules|dist/.test(path))
    .map((path) => read(root, join("examples", path)));
  const from = (code) => examples.some((example) => example.includes(code));
  const blocks = blocksOf(read(root, join("docs", "guides", "frameworks.md")), "jsx?");
  group.holds("blocks of frameworks", blocks.length >= 7, blocks.length);
  for (const code of blocks) group.same(`frameworks.md: ${code.slice(0, 60)}`, from(code), true);
  group.rejects("code of no example", from(blocks[0].replace("stop.abort()", "stop.end()")), true);
}

const read = (root, path) => readFileSync(join(root, path), "utf8");

function blocksOf(markdown, language) {
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, code]) => code);
}
