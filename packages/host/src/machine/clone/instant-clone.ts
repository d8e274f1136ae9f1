import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { joinPath, splitPath } from '@hypostyle/services';
import {
  data,
  fault,
  type VirtualDevice,
  type VirtualMachineCloneSpec,
  type VirtualMachineInstantCloneSpec,
} from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { environmentFiles } from '../../vapp/environment.ts';
import { privatePath, readBounded, writePrivate } from '../../vapp/vapp-file.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { customizationDiscFile } from '../customize/pending-customization.ts';
import { type CopiedMemory, copiedMemoryOf, writeCopiedMemory } from '../power/copied-memory.ts';
import { suspendKey } from '../power/memory-image.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { shareFile } from '../snapshot/snapshot-files.ts';
import { findSnapshot } from '../snapshot/snapshot-list.ts';
import { stemOf } from './clone-configuration.ts';

/** Largest disc that the guest was told by, in bytes. */
const mostDiscBytes = 8 << 20;

/** Members of a spec's location that are looked at; the interface takes no other ones. */
const takenMembers = new Set(['_typeName', 'folder', 'datastore', 'pool', 'host', 'deviceChange']);

/** Where the center writes the instanceUuid of a clone among its settings, as `.vmx` files have it. */
const instanceKey = 'vc.uuid';

/** Memory of a running machine that a copy of it goes on with. */
export interface MemoryImage extends CopiedMemory {
  /** Absolute path of the image, which never changes. */
  readonly path: string;
}

/**
 * What VirtualMachine.InstantClone_Task is asked for, as a clone that is started. Throws InvalidPowerState for a machine
 * that does not run, InvalidDatastore for another one than the machine's, NotSupported and InvalidArgument.
 */
export function instantCloneSpec(
  core: HostCore,
  machine: MachineRecord,
  { location, config = [], biosUuid }: VirtualMachineInstantCloneSpec,
): VirtualMachineCloneSpec {
  if (machine.configuration.template) throw fault('InvalidState', {}, 'The machine is a template.');
  if (machine.powerState !== 'poweredOn') throw invalidPowerState(machine, 'poweredOn');
  if (!core.hypervisorInfo.capabilities.memorySnapshots)
    throw fault('NotSupported', {}, `${core.hypervisorInfo.product} keeps no memory of machines that run.`);
  for (const [member, value] of Object.entries(location))
    if (value !== undefined && !takenMembers.has(member))
      throw fault('NotSupported', {}, `spec.location.${member} is not for instant clones.`);
  if (location.datastore !== undefined && location.datastore.value !== machine.datastore.uuid)
    throw fault(
      'InvalidDatastore',
      { datastore: location.datastore, name: core.datastores.byUuid(location.datastore.value)?.name ?? '' },
      'An instant clone shares the disks of its original, and lies on the same datastore.',
    );
  for (const { operation, device } of location.deviceChange ?? [])
    if (operation !== 'edit' || !isEditable(core, device))
      throw fault(
        'NotSupported',
        {},
        'spec.location.deviceChange: an instant clone has the devices of its original; adapters and ports to files are edited.',
      );
  const settings = config.map(({ key, value }) => ({ key, value: String(value ?? '') }));
  const instanceUuid = settings.find(({ key }) => key === instanceKey)?.value;
  const extraConfig = settings.filter(({ key }) => key !== instanceKey).map((setting) => data('OptionValue', setting));
  return data('VirtualMachineCloneSpec', {
    location,
    template: false,
    powerOn: true,
    config: data('VirtualMachineConfigSpec', {
      extraConfig,
      ...(biosUuid === undefined ? {} : { uuid: biosUuid }),
      ...(instanceUuid === undefined ? {} : { instanceUuid }),
    }),
  });
}

function isEditable(core: HostCore, device: VirtualDevice): boolean {
  const type = device._typeName ?? '';
  if (core.registry.schema.isSubtype(type, 'VirtualEthernetCard')) return true;
  const isPort = type === 'VirtualSerialPort' || type === 'VirtualParallelPort';
  return isPort && /FileBackingInfo$/.test(device.backing?._typeName ?? '');
}

/** The memory that a snapshot of a running machine kept. Throws InvalidPowerState where the machine was off by then. */
export function keptMemoryOf(machine: MachineRecord, uid: number): MemoryImage {
  const entry = findSnapshot(machine.snapshots.entries, uid);
  if (entry?.memoryFile === undefined || entry.state !== 'poweredOn')
    throw invalidPowerState({ ...machine, powerState: 'poweredOff' }, 'poweredOn');
  const { datastore, vmxPath } = machine;
  const { configuration = machine.configuration } = machine.snapshots.views.get(uid) ?? {};
  return {
    ...copiedMemoryOf(configuration),
    path: datastore.absolute(joinPath(splitPath(vmxPath).folder, entry.memoryFile)),
  };
}

/** Gives a clone the memory of its original, and the discs that the guest was started with. */
export async function takeMemory(
  original: MachineRecord,
  memory: MemoryImage,
  { datastore, vmxPath }: Pick<MachineRecord, 'datastore' | 'vmxPath'>,
  vmx: VmxFile,
): Promise<void> {
  for (const name of [...environmentFiles, customizationDiscFile]) {
    const bytes = await readBounded(privatePath(original.datastore, original.vmxPath, name), mostDiscBytes).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      },
    );
    if (bytes !== undefined) await writePrivate(privatePath(datastore, vmxPath, name), bytes);
  }
  const name = `${stemOf(vmxPath)}-${randomBytes(4).toString('hex')}.vmss`;
  await shareFile(memory.path, join(dirname(datastore.absolute(vmxPath)), name));
  vmx.set(suspendKey, name);
  writeCopiedMemory(vmx, memory);
}
