/** What a JSON schema says that a regular expression cannot, or that is not understood here. */
export class UnsupportedSchema extends Error {}

type Schema = Readonly<Record<string, unknown>>;

/** What says nothing about which values there are. */
const NOTES = ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"];
/** Without halves of surrogate pairs, two of which would be one character. */
const ESCAPE = String.raw`\\(?:["\\\/bfnrt]|u(?:[0-9a-cefA-CEF][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2})`;
const CHARACTER = String.raw`(?:[^"\\\u0000-\u001f]|${ESCAPE})`;
/** Of at most 15 digits: as many as JavaScript's numbers hold. */
const WHOLE = "-?(?:0|[1-9][0-9]{0,14})";
const SIMPLE: Readonly<Record<string, string>> = {
  integer: WHOLE,
  number: `${WHOLE}(?:\\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?`,
  boolean: "(?:true|false)",
  null: "null",
};

/**
 * A regular expression for JSON texts of a schema, though not for all of them: objects have all of their properties, in their order, and no
 * others; whole numbers have at most 15 digits; a blank may stand after a comma and a colon alone.
 *
 * @throws {UnsupportedSchema} That says what is not understood, and where.
 */
export function patternOfSchema(schema: unknown, path = "schema"): string {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw new UnsupportedSchema(`${path}: expected an object, found ${JSON.stringify(schema)}`);
  const { type, ...rest } = Object.fromEntries(
    Object.entries(schema as Schema).filter(([key]) => !NOTES.includes(key)),
  );
  const only = (...known: string[]) => {
    const other = Object.keys(rest).find((key) => !known.includes(key));
    if (other !== undefined)
      throw new UnsupportedSchema(
        `${path}: expected ${known.join(", ") || "nothing"} besides its type, found ${other}`,
      );
  };
  if ("const" in rest || "enum" in rest) {
    only("const" in rest ? "const" : "enum");
    const values = "const" in rest ? [rest["const"]] : rest["enum"];
    if (!Array.isArray(values) || values.length === 0)
      throw new UnsupportedSchema(`${path}.enum: expected values, found ${JSON.stringify(values)}`);
    return any(values.map(literal));
  }
  if ("anyOf" in rest) {
    only("anyOf");
    return any(list(rest["anyOf"], `${path}.anyOf`).map((one, at) => patternOfSchema(one, `${path}.anyOf[${at}]`)));
  }
  if (Array.isArray(type)) return any(type.map((one) => patternOfSchema({ type: one as unknown, ...rest }, path)));
  if (type === "object") {
    only("properties", "required", "additionalProperties");
    const properties = Object.entries((rest["properties"] ?? {}) as Schema);
    const missing = list(rest["required"] ?? [], `${path}.required`).find(
      (name) => !properties.some(([own]) => own === name),
    );
    if (missing !== undefined)
      throw new UnsupportedSchema(`${path}.properties: expected ${JSON.stringify(missing)} too`);
    const one = ([name, value]: [string, unknown]) => `${literal(name)}: ?${patternOfSchema(value, `${path}.${name}`)}`;
    return `\\{${properties.map(one).join(", ?")}\\}`;
  }
  if (type === "array") {
    only("items", "minItems", "maxItems");
    const item = patternOfSchema(rest["items"], `${path}.items`);
    const [least, most] = bounds(rest, "minItems", "maxItems", path);
    if (most === 0) return "\\[\\]";
    const more = `(?:, ?${item}){${Math.max(least - 1, 0)},${most === undefined ? "" : most - 1}}`;
    return `\\[(?:${item}${more})${least === 0 ? "?" : ""}\\]`;
  }
  if (type === "string") {
    only("minLength", "maxLength");
    const [least, most] = bounds(rest, "minLength", "maxLength", path);
    return `"${CHARACTER}{${least},${most ?? ""}}"`;
  }
  const simple = typeof type === "string" && Object.hasOwn(SIMPLE, type) ? SIMPLE[type] : undefined;
  if (simple === undefined)
    throw new UnsupportedSchema(`${path}.type: expected a type of JSON's, found ${JSON.stringify(type) ?? "none"}`);
  only();
  return simple;
}

const any = (patterns: string[]) => `(?:${patterns.join("|")})`;

/** A value as JSON writes it, and nothing else. */
const literal = (value: unknown) => (JSON.stringify(value) ?? "null").replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

function list(found: unknown, path: string): unknown[] {
  if (Array.isArray(found)) return found;
  throw new UnsupportedSchema(`${path}: expected a list, found ${JSON.stringify(found)}`);
}

function bounds(schema: Schema, least: string, most: string, path: string): [least: number, most: number | undefined] {
  const number = (name: string) => {
    const found = schema[name];
    if (found === undefined || (Number.isSafeInteger(found) && (found as number) >= 0))
      return found as number | undefined;
    throw new UnsupportedSchema(`${path}.${name}: expected a whole number, found ${JSON.stringify(found)}`);
  };
  const [from = 0, to] = [number(least), number(most)];
  if (to !== undefined && to < from)
    throw new UnsupportedSchema(`${path}.${most}: expected at least ${from}, found ${to}`);
  return [from, to];
}
