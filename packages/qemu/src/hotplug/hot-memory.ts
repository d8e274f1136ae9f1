import { messageOf, qemuErrors } from '../errors.ts';
import { engineMemoryKiB } from '../machine/command-line.ts';
import type { Engine } from '../machine/engine.ts';
import { memoryDevice } from '../machine/memory-devices.ts';
import type { EngineHardware } from './engine-hardware.ts';

/** What guests take in; Linux and Windows take it in blocks of this. */
export const memoryStepMiB = 128;

/** Memory that is missing, MiB. Throws `unsupported-hardware` where it cannot come, or some would have to go. */
export function missingMemory(
  { identity }: Pick<Engine, 'identity'>,
  { memory }: Pick<EngineHardware, 'memory'>,
  memoryMiB: number,
): number {
  const present = identity.memoryKiB + memory.reduce((sum, { bytes }) => sum + bytes / 1024, 0);
  const missing = (engineMemoryKiB(memoryMiB, identity.accelerator) - present) / 1024;
  if (missing === 0) return 0;
  if (missing < 0) throw qemuErrors.unsupported('Memory does not go while a machine runs.');
  if (missing % memoryStepMiB !== 0) throw qemuErrors.unsupported(`Memory comes in steps of ${memoryStepMiB} MiB.`);
  if (memoryMiB > (identity.hotPlug?.maxMemoryMiB ?? 0))
    throw qemuErrors.unsupported(`The machine was started with no room for ${memoryMiB} MiB.`);
  return missing;
}

export async function addMemory(
  engine: Engine,
  { memory, devices }: Pick<EngineHardware, 'memory' | 'devices'>,
  mebibytes: number,
): Promise<void> {
  if (mebibytes === 0) return;
  let number = memory.length;
  while (devices.has(`memory-${number}`)) number += 1;
  const { backend, device } = memoryDevice({ id: `memory-${number}`, bytes: mebibytes * 2 ** 20 });
  try {
    // One of an owner that was killed before the device was there.
    await engine.execute('object-del', { id: backend.id }).catch(() => {});
    await engine.execute('object-add', backend);
    await engine.execute('device_add', device);
  } catch (error) {
    await engine.execute('object-del', { id: backend.id }).catch(() => {});
    throw qemuErrors.hotPlugFailed(`${mebibytes} MiB of memory could not be added: ${messageOf(error)}`, error);
  }
}
