import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HypervisorError, type RunningMachine } from '@hypostyle/contracts';
import { deltaFiles, growMachineDisk, readDiskChain } from '@hypostyle/services';
import { fault, VimFault } from '@hypostyle/vim';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { VmxFile } from '../../vmx/vmx-file.ts';
import { removeChangeImage } from '../changes/tracked-files.ts';
import type { DiskGrowth } from '../files/disk-effects.ts';
import { diskPath, writeVmx } from '../files/machine-files.ts';
import { diskIdOf } from '../power/hardware.ts';
import { prepareDisks } from '../power/power-on.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { readMachine } from '../registration/registration.ts';
import { liveHardware } from './live-hardware.ts';

/** The configuration that a running machine had before a change that is under way. */
const formerPath = ({ datastore, vmxPath }: MachineRecord) =>
  join(dirname(datastore.absolute(vmxPath)), '.hypo', 'former.vmx');

export async function keepFormer(machine: MachineRecord, vmx: string): Promise<void> {
  const path = formerPath(machine);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, vmx, { mode: 0o600, flush: true });
}

export async function forgetFormer(machine: MachineRecord): Promise<void> {
  await rm(formerPath(machine), { force: true });
}

export function digestOf(vmx: VmxFile): string {
  return createHash('sha256').update(vmx.toString()).digest('hex');
}

/**
 * Makes a running engine what the `.vmx` on disk says. Where that fails the engine and the `.vmx` are as they were, as
 * far as the guest lets them.
 */
export async function changeEngine(
  core: HostCore,
  machine: MachineRecord,
  engine: RunningMachine,
  changed: ReadonlyMap<number, boolean>,
): Promise<void> {
  const { datastore, vmxPath } = machine;
  try {
    const now = { ...machine, ...(await readMachine(core, datastore, vmxPath)) };
    await tellEngine(core, engine, { ...now, connections: connectionsOf(machine, changed) }, machine);
  } catch (error) {
    const former = await readFile(formerPath(machine)).catch((again: unknown) =>
      core.onDefect('a change taken back', again),
    );
    if (former instanceof Buffer) await writeVmx(datastore, vmxPath, VmxFile.parse(former, vmxPath));
    const then = { ...machine, ...(await readMachine(core, datastore, vmxPath)) };
    // What does not come back comes with the next start.
    await tellEngine(core, engine, then, machine).catch((again: unknown) =>
      core.onDefect('a change taken back', again),
    );
    throw error;
  }
}

/** Throws the documented fault where the engine or the guest refuses. */
export async function tellEngine(
  core: HostCore,
  engine: RunningMachine,
  machine: MachineRecord,
  former: MachineRecord,
): Promise<void> {
  try {
    await engine.changeHardware(await liveHardware(core, machine, former));
  } catch (error) {
    if (error instanceof VimFault || !(error instanceof HypervisorError)) throw error;
    const { message, code } = error;
    if (code === 'not-running') throw invalidPowerState({ ...machine, powerState: 'poweredOff' }, 'poweredOn');
    if (code === 'unsupported-hardware') {
      throw fault(
        'DeviceHotPlugNotSupported',
        { deviceIndex: 0, property: 'virtualDeviceSpec.device' },
        `The machine cannot be changed so while it runs: ${message}`,
        { cause: error },
      );
    }
    throw fault('GenericVmConfigFault', { reason: message.slice(0, 2000) }, message, { cause: error });
  }
}

export function connectionsOf(
  { connections }: Pick<MachineRecord, 'connections'>,
  changed: ReadonlyMap<number, boolean>,
): Map<number, boolean> {
  return new Map([...(connections ?? []), ...changed]);
}

/** Makes disks ready to be written that come to a machine while it runs; what it has already is being written. */
export async function readyDisks(
  core: HostCore,
  machine: MachineRecord,
  configuration: MachineConfiguration,
): Promise<{ readonly configuration: MachineConfiguration; readonly made: readonly string[] }> {
  const { datastore, vmxPath } = machine;
  const coming = configuration.disks.filter(({ key }) => !machine.configuration.disks.some((disk) => disk.key === key));
  const ready = await prepareDisks(core, machine, { disks: coming, controllers: configuration.controllers });
  // What changes in them is kept from the next start on: nothing of it is known now.
  for (const { chain } of ready.opened) await removeChangeImage(machine, chain);
  const disks = configuration.disks.map((disk) => ready.disks.find(({ key }) => key === disk.key) ?? disk);
  const made = ready.disks
    .filter(({ fileName }) => !coming.some((disk) => disk.fileName === fileName))
    .flatMap(({ fileName }) => deltaFiles(diskPath(datastore, vmxPath, fileName)));
  return { configuration: { ...configuration, disks }, made };
}

const outside = ({ datastore }: MachineRecord) => ({
  allowOutside: (path: string) => datastore.holds(path),
});

/** The datastore that an absolute path of a machine's disk is on. */
function rootOf({ datastore }: MachineRecord, path: string): Datastore {
  return datastore.locate(datastore.pathOf(path)).datastore;
}

/** Makes disks larger, and tells a guest that runs. */
export async function growDisks(core: HostCore, machine: MachineRecord, growths: readonly DiskGrowth[]): Promise<void> {
  const engine = core.machines.engine(machine.id);
  for (const { key, path, capacityBytes } of growths) {
    const disk = machine.configuration.disks.find((one) => one.key === key);
    // An image of what changed is of the former size.
    if (disk !== undefined) await core.changes.end(machine.id, key);
    if (engine === undefined) await removeChangeImage(machine, await readDiskChain(path, outside(machine)));
    await growMachineDisk({ root: rootOf(machine, path), path, capacityBytes });
    if (engine === undefined || disk === undefined) continue;
    await engine.growDisk(diskIdOf(machine.configuration, disk), capacityBytes).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw fault('GenericVmConfigFault', { reason: reason.slice(0, 2000) }, reason, { cause: error });
    });
  }
}
