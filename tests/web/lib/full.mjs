/** Under `build.sh test --full`, which has the time for everything everywhere. */
export const full = process.env.OCELLI_FULL === "1";
