// What TypeScript says about a program that uses the installed package.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Its complaints about `source`, as a strict project meets them, declarations of the package included; "" if there are none. */
export function complaints({ site, root }, source) {
  writeFileSync(site.path("consumer.ts"), source);
  const options = ["--noEmit", "--strict", "--target", "ES2022", "--module", "ES2022", "--moduleResolution", "bundler"];
  const lib = ["--lib", "ES2022,DOM,DOM.Iterable,ESNext.Disposable", "--types", ""];
  const program = join(root, "pkg", "node_modules", "typescript", "bin", "tsc");
  try {
    return execFileSync(process.execPath, [program, ...options, ...lib, "consumer.ts"], {
      cwd: site.folder,
      encoding: "utf8",
    });
  } catch (error) {
    return error.stdout;
  }
}
