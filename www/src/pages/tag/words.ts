const numbers = new Intl.NumberFormat("en");

/** A whole number, such as "1,000". */
export function number(value: number): string {
  return numbers.format(value);
}

/** A count with its noun, such as "1 picture" or "1,000 pictures". */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** A rough duration: "about 20 s", "about 3 min", "about 2 h". */
export function duration(seconds: number): string {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `about ${Math.round(seconds / 60)} min`;
  return `about ${Math.round(seconds / 3600)} h`;
}
