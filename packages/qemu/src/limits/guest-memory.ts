import type { Engine } from '../machine/engine.ts';

/** More than any machine has: the engine takes it for all of its memory. */
const allMemory = 2 ** 52;

/** `ResourceLimits.limitMemory`: the target of the balloon, which the guest fills when it can. */
export async function limitGuestMemory(engine: Pick<Engine, 'execute'>, memoryMiB: number | undefined): Promise<void> {
  await engine.execute('balloon', { value: memoryMiB === undefined ? allMemory : memoryMiB * 2 ** 20 });
}
