/** An engine without a guest, in bytes: its code, its threads and what it keeps of its devices. */
const engineBytes = 64 * 2 ** 20;
/** What a processor adds, in bytes. */
const processorBytes = 8 * 2 ** 20;

/** Estimate of what a machine takes beside its guest's memory, in bytes: page tables are a 512th of the memory. */
export function memoryOverhead(machine: {
  readonly memoryBytes: number;
  readonly videoBytes: number;
  readonly cpus: number;
}): number {
  const { memoryBytes, videoBytes, cpus } = machine;
  return engineBytes + cpus * processorBytes + videoBytes + Math.ceil(memoryBytes / 512);
}
