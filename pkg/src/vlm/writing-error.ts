import { OcelliError } from "../error.js";

/** Why a text broke off, and what there is of it. */
export class WritingError extends OcelliError {
  constructor(
    /** What was written before; empty if nothing was. */
    readonly text: string,
    { code, message, cause }: OcelliError,
  ) {
    super(code, message, { cause });
  }
}
