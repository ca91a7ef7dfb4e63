export interface Outcome<T> {
  done: T[];
  failed: { item: T; error: unknown }[];
}

/** Does the same to many items, a few at a time; one failure does not stop the others. */
export async function each<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  parallel = 4,
): Promise<Outcome<T>> {
  const outcome: Outcome<T> = { done: [], failed: [] };
  const open = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of open) {
      try {
        await work(item);
        outcome.done.push(item);
      } catch (error) {
        outcome.failed.push({ item, error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
  return outcome;
}
