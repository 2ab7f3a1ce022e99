// What TypeScript says about a program that uses the installed package.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const BUNDLER = ["--module", "ES2022", "--moduleResolution", "bundler"];
const COMMON = ["--noEmit", "--strict", "--target", "ES2022", "--lib", "ES2022,DOM,DOM.Iterable"];

/**
 * Its complaints about `source`, as a strict project meets them, declarations of the package included; "" if there are none. Versions
 * other than the newest are in tests/web/package.json.
 */
export function complaints({ site, root, version = "newest", options = BUNDLER, files = ["consumer.ts"] }, source) {
  for (const file of files) writeFileSync(site.path(file), source);
  const [folder, name] = version === "newest" ? ["pkg", "typescript"] : [join("tests", "web"), `typescript-${version}`];
  const program = join(root, folder, "node_modules", name, "bin", "tsc");
  try {
    return execFileSync(process.execPath, [program, ...COMMON, ...options, ...files], {
      cwd: site.folder,
      encoding: "utf8",
    });
  } catch (error) {
    return error.stdout;
  }
}
