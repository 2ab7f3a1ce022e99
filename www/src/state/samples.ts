/** Drawings that the built-in model gets right. */
const right = ["guitar", "rocket", "pizza", "bicycle", "castle", "octopus", "dog", "cactus"] as const;
/** One that it takes for another thing: what it cannot do belongs on the page as well. */
export const missed = "cat";

export const samples: readonly string[] = [...right, missed];

export async function sampleFile(name: string): Promise<Blob> {
  const response = await fetch(`./samples/${name}.png`);
  if (!response.ok) throw new Error(`samples/${name}.png: expected a file, found status ${response.status}`);
  return response.blob();
}
