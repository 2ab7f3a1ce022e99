// The same crate on the command line, where it has been built.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readPng } from "./fixtures.mjs";

/** Runs `ocelli --json …` and reads its answer. */
export class Native {
  constructor(program) {
    this.program = program;
    this.exists = existsSync(program);
    this.missing = `no ${program}: run cargo build first`;
  }

  run(...args) {
    const options = { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] };
    return JSON.parse(execFileSync(this.program, ["--json", ...args], options));
  }

  /** Runs a command that only writes. */
  write(...args) {
    execFileSync(this.program, args, { stdio: ["ignore", "ignore", "pipe"] });
  }

  embedImages(model, files, format = "none") {
    return this.run("embed", "--model", model, "--format", format, ...files).embeddings;
  }

  embedTexts(model, texts, format = "none") {
    return this.run("embed", "--model", model, "--format", format, ...texts.map((text) => `--text=${text}`)).embeddings;
  }

  quantize(model, to, format) {
    return this.run("quantize", model, to, "--format", format);
  }

  /** The square that the tower sees; `picture` is a path or the bytes of a file. */
  preprocess(model, picture, ...more) {
    const folder = mkdtempSync(join(tmpdir(), "ocelli-"));
    try {
      const file = typeof picture === "string" ? picture : join(folder, "picture");
      if (file !== picture) writeFileSync(file, picture);
      this.run("preprocess", ...more, "--model", model, file, join(folder, "square.png"));
      return readPng(join(folder, "square.png"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}
