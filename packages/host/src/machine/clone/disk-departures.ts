import { type DiskAllocation, faults, readDiskChain, splitPath, storedBytes } from '@hypostyle/services';
import { fault, type VirtualMachineRelocateSpec } from '@hypostyle/vim';
import type { Disk } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import { diskPath } from '../files/machine-files.ts';
import { invalidPowerState } from '../power/power-work.ts';
import { heldFiles } from '../record/held-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { allocationOf, diskDatastore, targetDatastore } from './clone-request.ts';

/** A disk that goes elsewhere than the rest of its machine, or comes back to it. */
export interface Departure {
  readonly disk: Disk;
  readonly datastore: Datastore;
  readonly allocation: DiskAllocation;
}

type Core = Pick<HostCore, 'datastores'>;

/** The datastore where a disk is now; undefined for one that cannot be read. */
function presentDatastore({ datastore, disks }: MachineRecord, { key }: Disk): Datastore | undefined {
  const path = disks.get(key)?.chain[0]?.[0];
  return path === undefined ? undefined : datastore.locate(path).datastore;
}

/**
 * Where a disk is to be once a spec is done: what its locator says; else with the machine where that is told a
 * datastore, and where it is where not. Throws InvalidDatastore.
 */
export function diskTarget(
  core: Core,
  machine: MachineRecord,
  disk: Disk,
  spec: VirtualMachineRelocateSpec,
): Datastore {
  const home = targetDatastore(core, machine, spec);
  const asked = diskDatastore(core, home, disk, spec);
  const isNamed = spec.datastore !== undefined || spec.disk?.some(({ diskId }) => diskId === disk.key) === true;
  return isNamed ? asked : (presentDatastore(machine, disk) ?? home);
}

/** The disks of a machine that move by themselves for a spec. Throws InvalidDatastore. */
export function departures(core: Core, machine: MachineRecord, spec: VirtualMachineRelocateSpec): Departure[] {
  const home = targetDatastore(core, machine, spec);
  const follows = home !== machine.datastore;
  const runs = machine.powerState === 'poweredOn';
  return machine.configuration.disks.flatMap((disk) => {
    const now = presentDatastore(machine, disk);
    const facts = machine.disks.get(disk.key);
    if (now === undefined || facts === undefined) return [];
    const datastore = diskTarget(core, machine, disk, spec);
    const backing = spec.disk?.find(({ diskId }) => diskId === disk.key)?.diskBackingInfo;
    const allocation = allocationOf(backing, spec, facts);
    const leaves = { disk, datastore, allocation };
    if (datastore !== now) return follows && datastore === home ? [] : [leaves];
    // It is not changed under a guest that writes it, nor while its machine goes: it becomes another one beside.
    const isReshaped = facts.thin !== (allocation === 'thin');
    return isReshaped && now !== machine.datastore && (follows || runs) ? [leaves] : [];
  });
}

/** The spec once those disks are where it says: nothing of theirs is left to be done. */
export function withoutDeparted(
  { disk, ...spec }: VirtualMachineRelocateSpec,
  keys: ReadonlySet<number>,
): VirtualMachineRelocateSpec {
  if (disk === undefined) return spec;
  return {
    ...spec,
    disk: disk.map((locator) => {
      const { diskBackingInfo: _done, ...place } = locator;
      return keys.has(locator.diskId) ? place : locator;
    }),
  };
}

/** Throws NotSupported for disks that do not move by themselves, InvalidPowerState where the hypervisor moves none that run. */
export async function checkDepartures(
  core: HostCore,
  machine: MachineRecord,
  leaving: readonly Departure[],
): Promise<void> {
  if (leaving.length === 0) return;
  if (machine.snapshots.entries.length > 0)
    throw fault(
      'NotSupported',
      {},
      'A disk of a machine with snapshots does not move by itself: move the whole machine, or remove the snapshots.',
    );
  const runs = machine.powerState === 'poweredOn';
  if (runs && !core.hypervisorInfo.capabilities.diskMoves) throw invalidPowerState(machine, 'poweredOff');
  for (const { disk } of leaving) {
    const facts = machine.disks.get(disk.key);
    if (facts === undefined || facts.problem !== undefined)
      throw fault('FileFault', { file: disk.fileName }, facts?.problem ?? 'The disk cannot be read.');
    const [path = ''] = facts.chain[0] ?? [];
    const { folder } = splitPath(path);
    const own = new Set(facts.chain.flat().filter((file) => splitPath(file).folder === folder));
    const children = await core.diskChildren.held(machine.datastore, [folder]);
    if (children.some((held) => !heldFiles(held).isDisjointFrom(own)))
      throw fault(
        'NotSupported',
        {},
        `${machine.datastore.format(path)}: clones stand on it, so it stays. Promote them, or move the whole machine.`,
      );
  }
}

/** Throws NoDiskSpace where a datastore has no room for the disks that come to it. */
export async function checkRoomFor(machine: MachineRecord, leaving: readonly Departure[]): Promise<void> {
  for (const [datastore, some] of Map.groupBy(leaving, (one) => one.datastore)) {
    const space = await spaceOf(datastore);
    if (space === undefined) throw faults.cannotAccess(datastore.format(''), 'the datastore is not accessible');
    let needed = 0;
    for (const { disk, allocation } of some) {
      const chain = await readDiskChain(diskPath(machine.datastore, machine.vmxPath, disk.fileName), {
        allowOutside: (path) => machine.datastore.holds(path),
      });
      needed += allocation === 'thin' ? Math.min(chain.capacityBytes, await storedBytes(chain)) : chain.capacityBytes;
    }
    if (needed > space.freeBytes) throw faults.noSpace(datastore.format(''), datastore.name);
  }
}
