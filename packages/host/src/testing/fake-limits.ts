/** Memory that guests of fake engines keep, in MiB, by engine. */
const limits = new WeakMap<object, number>();

/** A fake engine's `limitMemory`. */
export async function limitFakeMemory(engine: object, memoryMiB: number | undefined): Promise<void> {
  if (memoryMiB === undefined) limits.delete(engine);
  else limits.set(engine, memoryMiB);
}

/** What the last `limitMemory` said; undefined: all. */
export function fakeMemoryLimit(engine: object): number | undefined {
  return limits.get(engine);
}
