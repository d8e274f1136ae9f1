import { readdir, rm } from 'node:fs/promises';
import {
  createDelta,
  deltaFiles,
  maximumChainLength,
  nextDeltaName,
  readDiskChain,
  splitPath,
} from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { HostCore } from '../../host-core.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { diskPath } from '../files/machine-files.ts';
import { driveNode } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { allDone } from './staged-files.ts';

/** A delta that takes the place of a disk in the `.vmx`. */
export interface PlannedDelta {
  /** Device key of the disk. */
  readonly key: number;
  /** As the `.vmx` names the disk that it lies on. */
  readonly over: string;
  /** As the `.vmx` is to name it: it lies in the machine's folder, or beside a disk of another datastore. */
  readonly name: string;
}

/** Disks that are part of a snapshot: independent ones are left out. */
export function snapshotDisks({ disks }: MachineConfiguration): readonly Disk[] {
  return disks.filter(({ mode }) => mode === 'persistent');
}

/** Names deltas over disks, in the machine's folder, or on the datastore where the disk is. Throws TooManySnapshotLevels. */
export async function planDeltas(machine: MachineRecord, disks: readonly Disk[]): Promise<PlannedDelta[]> {
  const { datastore, vmxPath } = machine;
  const known = new Map<string, Set<string>>();
  const takenIn = async (folder: string) => {
    const taken = known.get(folder) ?? new Set(await readdir(datastore.absolute(folder)));
    known.set(folder, taken);
    return taken;
  };
  const deltas: PlannedDelta[] = [];
  for (const { key, fileName } of disks) {
    const chain = await readDiskChain(diskPath(datastore, vmxPath, fileName), {
      allowOutside: (path) => datastore.holds(path),
    });
    if (chain.links.length >= maximumChainLength) {
      throw fault(
        'TooManySnapshotLevels',
        {},
        `A disk has ${maximumChainLength - 1} levels of snapshots at most; remove some that are not needed.`,
      );
    }
    const { folder, prefix } = besideOf(machine, fileName);
    const taken = await takenIn(folder);
    const name = nextDeltaName(splitPath(fileName).name, (candidate) => {
      const [, extent] = deltaFiles(candidate);
      return taken.has(candidate) || taken.has(splitPath(extent).name);
    });
    taken.add(name);
    deltas.push({ key, over: fileName, name: prefix + name });
  }
  return deltas;
}

/** Where a delta over a disk comes to, and what its name begins with in the `.vmx`. */
function besideOf(
  { datastore, vmxPath }: MachineRecord,
  fileName: string,
): { readonly folder: string; readonly prefix: string } {
  const path = datastore.relative(vmxPath, fileName);
  if (path === undefined || datastore.locate(path).datastore === datastore)
    return { folder: splitPath(vmxPath).folder, prefix: '' };
  const { folder } = splitPath(path);
  return { folder, prefix: `${folder}/` };
}

/** Makes the files of deltas, all at a time. Durable once their folder is synced. */
export async function makeDeltas(core: HostCore, machine: MachineRecord, deltas: readonly PlannedDelta[]) {
  const { datastore, vmxPath } = machine;
  await allDone(
    deltas.map(async ({ over, name }) => {
      const parent = await readDiskChain(diskPath(datastore, vmxPath, over), {
        allowOutside: (path) => datastore.holds(path),
      });
      await createDelta({
        path: diskPath(datastore, vmxPath, name),
        parent,
        images: core.hypervisor.images,
        folderIsSynced: !name.includes('/'),
      });
    }),
  );
}

/** Removes the files of deltas, as far as they are there. */
export async function removeDeltas(machine: MachineRecord, deltas: readonly PlannedDelta[]): Promise<void> {
  for (const { name } of deltas) {
    for (const path of deltaFiles(diskPath(machine.datastore, machine.vmxPath, name))) await rm(path, { force: true });
  }
}

/** Names the deltas in a `.vmx`, or what they lie on. */
export function nameDeltas(
  vmx: VmxFile,
  configuration: MachineConfiguration,
  deltas: readonly PlannedDelta[],
  which: 'name' | 'over',
): void {
  for (const delta of deltas) {
    const disk = configuration.disks.find(({ key }) => key === delta.key);
    if (disk !== undefined) vmx.set(`${driveNode(configuration, disk)}.fileName`, delta[which]);
  }
}

/** Whether a `.vmx` names all the deltas. */
export function namesDeltas(
  vmx: VmxFile,
  configuration: MachineConfiguration,
  deltas: readonly PlannedDelta[],
): boolean {
  return deltas.every(({ key, name }) => {
    const disk = configuration.disks.find((one) => one.key === key);
    return disk !== undefined && vmx.get(`${driveNode(configuration, disk)}.fileName`) === name;
  });
}
