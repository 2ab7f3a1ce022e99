import { OcelliError, wrap } from "../error.js";

/** Of which image of a batch an error speaks. */
export class PictureError extends OcelliError {
  constructor(
    readonly index: number,
    { code, message, cause }: OcelliError,
  ) {
    super(code, message, { cause });
  }
}

/** What all have come to; or the first one's error, and `drop` for the others. */
export function all<T>(outcomes: PromiseSettledResult<T>[], drop: (value: T) => void = () => {}): T[] {
  const values = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const failed = outcomes.findIndex((outcome) => outcome.status === "rejected");
  if (failed < 0) return values;
  values.forEach(drop);
  return numbered(failed, () => {
    throw (outcomes[failed] as PromiseRejectedResult).reason;
  });
}

/** What `work` comes to; an error says that it is about the image of this index. */
export function numbered<T>(index: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new PictureError(index, wrap(error));
  }
}
