// Checks in groups, one printed line per group. A group without a check, or that never met a wrong answer, fails.

/** How many entries differ; all of them if the lengths do. A number is one entry, and so is a truth value. */
export function different(actual, expected) {
  if (typeof expected === "number" || typeof expected === "boolean") return actual === expected ? 0 : 1;
  if (actual.length !== expected.length) return Math.max(actual.length, expected.length);
  let count = 0;
  for (let i = 0; i < actual.length; i++) if (actual[i] !== expected[i]) count++;
  return count;
}

/** Largest absolute difference; infinite if the lengths differ or a number is not finite. */
export function largest(actual, expected) {
  let worst = actual.length === expected.length && actual.length > 0 ? 0 : Infinity;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
  }
  return worst;
}

/** Euclidean distance; infinite as above. */
export function distance(actual, expected) {
  if (largest(actual, expected) === Infinity) return Infinity;
  return Math.hypot(...actual.map((x, i) => x - expected[i]));
}

export class Report {
  skipped = 0;
  #failures = [];
  #open;
  #beside = [];

  /** Starts a group. `measure` gives 0 for equal answers; up to `bound` is accepted. */
  group(title, measure = different, bound = 0) {
    this.end();
    this.#open = new Group(this, title, measure, bound);
    return this.#open;
  }

  /** A second group beside the open one; it prints when the open one has. */
  beside(title, measure = different, bound = 0) {
    this.#beside.push(new Group(this, title, measure, bound));
    return this.#beside.at(-1);
  }

  /** A line that asserts nothing. */
  note(title, text) {
    this.end();
    console.log(`      ${title.padEnd(WIDTH)} ${text}`);
  }

  /**
   * What cannot be checked here. Under REQUIRE_GPU=1 that is a failure, unless what is missing is `optional`: files that are not ours to
   * ship, a program that the package does not need, or checks that are asked for by name.
   */
  skip(title, why, { optional = false } = {}) {
    this.end();
    this.skipped++;
    if (!optional && process.env.REQUIRE_GPU === "1") this.fail(title, `SKIPPED: ${why}`);
    else console.log(`skip  ${title.padEnd(WIDTH)} SKIPPED: ${why}`);
  }

  /** A failed group, or what failed outside of one. */
  fail(title, line, problems = []) {
    const said = [
      `FAIL  ${title.padEnd(WIDTH)} ${line}`,
      ...problems.slice(0, MOST).map((problem) => `        ${problem}`),
      ...(problems.length > MOST ? [`        and ${problems.length - MOST} more`] : []),
    ].join("\n");
    this.#failures.push(said);
    console.log(said);
  }

  get failed() {
    return this.#failures.length;
  }

  /** The last lines: what failed, again, since a long log is read from its end; what was skipped has not passed. */
  verdict() {
    this.end();
    if (this.failed) return [...this.#failures, `${this.failed} groups failed, ${this.skipped} skipped`].join("\n");
    return this.skipped ? `all other groups passed, ${this.skipped} SKIPPED` : "all groups passed";
  }

  end() {
    for (const group of [this.#open, ...this.#beside]) group?.end();
    this.#open = undefined;
    this.#beside = [];
  }
}

const WIDTH = 46;
/** Problems of a group that are printed. */
const MOST = 8;

class Group {
  #checks = 0;
  #rejected = 0;
  #worst = 0;
  #problems = [];

  constructor(report, title, measure, bound) {
    Object.assign(this, { report, title, measure, bound });
  }

  /** The answer must be right. */
  same(name, actual, expected) {
    const deviation = this.measure(actual, expected);
    this.#checks++;
    this.#worst = Math.max(this.#worst, deviation);
    if (!(deviation <= this.bound)) {
      const what =
        this.bound === 0 ? `${deviation} of ${expected.length ?? 1} differ` : `${deviation} is over ${this.bound}`;
      this.#problems.push(`${name}: ${what}: expected ${brief(expected)}, found ${brief(actual)}`);
    }
    return deviation;
  }

  /** The checker itself on trial: it must reject this answer. */
  rejects(name, actual, wrong) {
    if (this.measure(actual, wrong) > this.bound) this.#rejected++;
    else this.#problems.push(`${name}: a wrong answer was accepted`);
  }

  /** Anything else that must hold beside the answers. */
  holds(name, condition, found = "") {
    if (!condition) this.#problems.push(`${name}${found === "" ? "" : `: found ${found}`}`);
  }

  end() {
    if (this.#checks === 0) this.#problems.push("nothing was checked");
    if (this.#rejected === 0) this.#problems.push("the checker has not met a wrong answer");
    const bound = this.bound === 0 ? "equal" : `within ${precise(this.bound)}, at most ${precise(this.#worst)}`;
    const count = `${this.#checks} ${bound}; ${this.#rejected} wrong rejected`;
    if (this.#problems.length) this.report.fail(this.title, count, this.#problems);
    else console.log(`ok    ${this.title.padEnd(WIDTH)} ${count}`);
  }
}

/** "3.1e-7", "0.05". */
export const precise = (x) => (x !== 0 && x < 0.001 ? x.toExponential(1) : String(Number(x.toPrecision(3))));

/** How long parts took, the longest first: pairs of a name and seconds. */
export function toldSeconds(parts) {
  const longest = parts.toSorted(([, a], [, b]) => b - a);
  return `seconds: ${longest.map(([part, took]) => `${part} ${took.toFixed(0)}`).join(", ")}`;
}

function brief(value) {
  const short = (x) => (typeof x === "number" ? Number(x.toPrecision(4)) : x);
  const text = ["string", "number", "boolean"].includes(typeof value)
    ? String(value)
    : JSON.stringify([...value].slice(0, 8).map(short));
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
