import type { MachineHardware } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { throttleDisks } from '../limits/disk-throttle.ts';
import { limitNics } from '../limits/nic-limits.ts';
import { controllerDevice, isHotPluggable } from '../machine/controllers.ts';
import { deviceId } from '../machine/device.ts';
import { diskParts } from '../machine/drives.ts';
import type { Engine } from '../machine/engine.ts';
import { nicDevice } from '../machine/nics.ts';
import type { Spawner } from '../process/spawner.ts';
import { type EngineHardware, readEngineHardware } from './engine-hardware.ts';
import { changeCpus, checkCpus } from './hot-cpus.ts';
import { addDisk, closeOrphans, removeDisk } from './hot-disks.ts';
import { changeMedium } from './hot-media.ts';
import { addMemory, missingMemory } from './hot-memory.ts';
import { addNic, connectNic, removeNic } from './hot-nics.ts';
import { unplug } from './unplug.ts';

/** Makes a running engine what the hardware says: `HotPlug.changeHardware`. */
export async function changeHardware(engine: Engine, spawner: Spawner, hardware: MachineHardware): Promise<void> {
  const now = await readEngineHardware(engine);
  const plan = planChanges(engine, now, hardware);
  for (const id of plan.disksToRemove) await removeDisk(engine, id);
  // What goes is let go of first; what comes has no limit to begin with.
  const known = hardware.nics.filter((nic) => now.devices.has(deviceId.nic(nic.id)));
  await shape(engine, spawner, known);
  for (const id of plan.nicsToRemove) await removeNic(engine, id);
  for (const id of plan.controllersToRemove) await unplug(engine, deviceId.controller(id), `controller ${id}`);
  for (const controller of plan.controllersToAdd) {
    const device = controllerDevice(controller);
    await engine.execute('device_add', device).catch((error: unknown) => {
      throw qemuErrors.hotPlugFailed(`Controller ${controller.id} could not be added: ${messageOf(error)}`, error);
    });
  }
  await closeOrphans(engine, now);
  for (const disk of plan.disksToAdd) await addDisk(engine, await readEngineHardware(engine), hardware, disk);
  await throttleDisks(engine, hardware).catch((error: unknown) => {
    throw qemuErrors.hotPlugFailed(`The limits of disks could not be set: ${messageOf(error)}`, error);
  });
  for (const [index, nic] of hardware.nics.entries()) {
    if (now.devices.has(deviceId.nic(nic.id))) await connectNic(engine, nic);
    else await addNic(engine, nic, index, hardware.bootOrder.includes(nic.id));
  }
  if (known.length < hardware.nics.length) await shape(engine, spawner, hardware.nics);
  for (const [drive, path] of drivesOf(hardware))
    await changeMedium(engine, await readEngineHardware(engine), drive, path);
  await changeCpus(engine, now, hardware.cpus);
  await addMemory(engine, now, plan.missingMemoryMiB);
}

function shape(engine: Engine, spawner: Spawner, nics: MachineHardware['nics']): Promise<void> {
  return limitNics(engine, spawner, nics).catch((error: unknown) => {
    throw qemuErrors.hotPlugFailed(`The limits of adapters could not be set: ${messageOf(error)}`, error);
  });
}

/** What is there too much, and what is missing. Throws `unsupported-hardware` where that cannot be while it runs. */
function planChanges(engine: Engine, now: EngineHardware, hardware: MachineHardware) {
  const { devices } = now;
  const there = (kind: string) => [...devices].filter((id) => id.startsWith(kind)).map((id) => id.slice(kind.length));
  const gone = (kind: string, known: readonly { readonly id: string }[]) =>
    there(kind).filter((id) => !known.some((one) => one.id === id));
  const disksToAdd = hardware.disks.filter(({ id }) => !devices.has(deviceId.disk(id)));
  const controllersToAdd = hardware.controllers.filter(
    (one) => controllerDevice(one) !== undefined && !devices.has(deviceId.controller(one.id)),
  );
  for (const disk of disksToAdd) {
    const controller = hardware.controllers.find(({ id }) => id === disk.controllerId);
    if (controller !== undefined && !isHotPluggable(controller.model))
      throw qemuErrors.unsupported(`Disk ${disk.id}: a ${controller.model} controller takes none while it runs.`);
    if (disk.discardWrites)
      throw qemuErrors.unsupported(`Disk ${disk.id}: one that forgets its writes does not come while a machine runs.`);
    diskParts({ hardware, disk, index: 0, directIo: false });
  }
  for (const { id, model } of controllersToAdd) {
    if (!isHotPluggable(model)) throw qemuErrors.unsupported(`Controller ${id}: ${model} does not come while it runs.`);
  }
  for (const [index, nic] of hardware.nics.entries()) nicDevice(nic, index, false);
  const drives = drivesOf(hardware);
  const known = [...drives.keys()];
  const missing = known.find((drive) => !devices.has(drive));
  const extra = [...devices].find((id) => /^(?:cdrom|floppy)-/.test(id) && !known.includes(id));
  if (missing ?? extra) throw qemuErrors.unsupported(`${missing ?? extra}: drives do not come and go while it runs.`);
  checkCpus(now, hardware.cpus);
  return {
    disksToAdd,
    disksToRemove: gone('disk-', hardware.disks),
    nicsToRemove: gone('nic-', hardware.nics),
    controllersToAdd,
    controllersToRemove: gone('controller-', hardware.controllers),
    missingMemoryMiB: missingMemory(engine, now, hardware.memoryMiB),
  };
}

/** Images by the engine's name of their drive. */
function drivesOf({ cdroms, floppies = [] }: MachineHardware): Map<string, string | undefined> {
  return new Map([
    ...cdroms.map(({ id, path }) => [deviceId.cdrom(id), path] as const),
    ...floppies.map(({ id, path }) => [deviceId.floppy(id), path] as const),
  ]);
}
