/** Works on all items, at most `most` of them at a time. */
export async function sideBySide<T>(items: T[], most: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: most }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
