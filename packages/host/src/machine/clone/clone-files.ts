import { dirname, join } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import {
  copyMachineDisk,
  createDelta,
  type DiskChain,
  diskFault,
  faults,
  growMachineDisk,
  joinPath,
  maximumChainLength,
  readDiskChain,
  splitPath,
  storedBytes,
} from '@hypostyle/services';
import { type CustomizationSpec, fault, type RunningTask, type VmConfigInfo } from '@hypostyle/vim';
import type { DeviceEffect } from '../../configuration/device-draft.ts';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import { writeVApp } from '../../vapp/vapp-file.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { putCustomization } from '../customize/pending-customization.ts';
import { adapterOf, applyEffects } from '../files/disk-effects.ts';
import { diskPath, writeVmx } from '../files/machine-files.ts';
import { writeWhole } from '../snapshot/snapshot-files.ts';
import { stemOf } from './clone-configuration.ts';
import type { CloneRequest, DiskWay } from './clone-request.ts';
import { type MemoryImage, takeMemory } from './instant-clone.ts';

/** A folder that is to become a machine. */
export interface CloneFiles {
  readonly request: CloneRequest;
  readonly vmxPath: string;
  /** The `.vmx` of the original, without what is of it alone. */
  readonly vmx: VmxFile;
  readonly nvram: Uint8Array | undefined;
  readonly vApp: VmConfigInfo | undefined;
  readonly customization: CustomizationSpec | undefined;
  readonly configuration: MachineConfiguration;
  readonly effects: readonly DeviceEffect[];
  /** It goes on with the memory of its original, which runs. */
  readonly memory: MemoryImage | undefined;
  readonly task: RunningTask;
  /** Told of every file that is about to be made for a new device. */
  planned(files: readonly string[]): Promise<void>;
}

interface PlannedDisk {
  readonly disk: Disk;
  readonly way: DiskWay;
  readonly source: DiskChain;
}

/** Makes the disks and files of a clone in its folder, which is there, and its `.vmx` last. */
export async function makeCloneFiles(core: HostCore, files: CloneFiles): Promise<void> {
  const { request, vmxPath, effects, task, planned } = files;
  const { datastore } = request;
  const disks = await plannedDisks(files);
  await checkSpace(datastore, disks);
  await linkDisks(core, files, disks);
  await copyDisks(core, files, disks);
  const applied = await applyEffects(core, {
    datastore,
    vmxPath,
    configuration: files.configuration,
    effects,
    disks: 'create',
    task,
    planned,
  });
  for (const { path, capacityBytes } of applied.growths)
    await growMachineDisk({ root: datastore, path, capacityBytes });
  if (files.nvram !== undefined)
    await writeWhole(join(dirname(datastore.absolute(vmxPath)), `${stemOf(vmxPath)}.nvram`), files.nvram);
  if (files.vApp !== undefined) await writeVApp(datastore, vmxPath, files.vApp);
  if (files.customization !== undefined) await putCustomization({ datastore, vmxPath }, files.customization);
  writeConfiguration(files.vmx, { ...applied.configuration, hasVApp: files.vApp !== undefined }, core.guestOs);
  if (files.memory !== undefined)
    await takeMemory(request.source.machine, files.memory, { datastore, vmxPath }, files.vmx);
  await writeVmx(datastore, vmxPath, files.vmx);
}

/** Disks of the clone that the original has: what the spec took away is not made. */
async function plannedDisks({ request, configuration }: CloneFiles): Promise<PlannedDisk[]> {
  const { source, ways } = request;
  const { datastore, vmxPath } = source.machine;
  const planned: PlannedDisk[] = [];
  for (const disk of configuration.disks) {
    const original = source.configuration.disks.find(({ key }) => key === disk.key);
    const way = ways.get(disk.key);
    // A key that was given again is that of another disk.
    if (original === undefined || way === undefined || !isSamePlace(original, disk)) continue;
    const chain = await readDiskChain(diskPath(datastore, vmxPath, original.fileName), {
      allowOutside: (path) => datastore.holds(path),
    });
    planned.push({ disk, way, source: chain });
  }
  return planned;
}

function isSamePlace(one: Disk, other: Disk): boolean {
  return one.controllerKey === other.controllerKey && one.unit === other.unit;
}

async function checkSpace(datastore: Datastore, disks: readonly PlannedDisk[]): Promise<void> {
  const copies = disks.filter(({ way }) => way.kind === 'copy');
  if (copies.length === 0) return;
  const space = await spaceOf(datastore);
  if (space === undefined) throw faults.cannotAccess(datastore.format(''), 'the datastore is not accessible');
  let needed = 0;
  for (const { way, source } of copies)
    needed += way.kind === 'copy' && way.allocation !== 'thin' ? source.capacityBytes : await storedBytes(source);
  if (needed > space.freeBytes) throw faults.noSpace(datastore.format(''), datastore.name);
}

async function linkDisks(core: HostCore, { request, vmxPath }: CloneFiles, disks: readonly PlannedDisk[]) {
  const { datastore } = request;
  const linked = disks.filter(({ way }) => way.kind === 'link');
  if (linked.length === 0) return;
  const full = linked.find(({ source }) => source.links.length >= maximumChainLength);
  if (full !== undefined)
    throw fault('TooManySnapshotLevels', {}, `A disk has ${maximumChainLength - 1} levels at most; clone it whole.`);
  const relative = (path: string) => datastore.pathOf(path);
  const { folder } = splitPath(vmxPath);
  await core.diskChildren.add(
    datastore,
    linked.map(({ disk, source }) => ({
      parent: relative(source.links[0].descriptorPath),
      child: joinPath(folder, disk.fileName),
    })),
  );
  for (const { disk, source } of linked)
    await createDelta({
      path: diskPath(datastore, vmxPath, disk.fileName),
      parent: source,
      images: core.hypervisor.images,
    });
}

async function copyDisks(core: HostCore, files: CloneFiles, disks: readonly PlannedDisk[]): Promise<void> {
  const { request, vmxPath, configuration, task } = files;
  const { datastore } = request;
  const total = disks.reduce((sum, { way, source }) => sum + (way.kind === 'copy' ? source.capacityBytes : 0), 0);
  let done = 0;
  for (const { disk, way, source } of disks) {
    if (way.kind !== 'copy') continue;
    task.signal.throwIfAborted();
    const name = joinPath(splitPath(vmxPath).folder, disk.fileName);
    try {
      await copyMachineDisk({
        source,
        path: datastore.absolute(name),
        allocation: way.allocation,
        adapter: adapterOf(configuration, disk.key),
        hardwareVersion: configuration.hardwareVersion,
        images: core.hypervisor.images,
        signal: task.signal,
        onProgress: (fraction) =>
          task.progress(5 + Math.floor((85 * (done + fraction * source.capacityBytes)) / Math.max(1, total))),
      });
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, name);
    }
    done += source.capacityBytes;
  }
}

/** A copy that failed in the specification's words: what tools say of room is in their last words only. */
export function copyFault(error: unknown, datastore: Datastore, path: string) {
  if (!(error instanceof HypervisorError)) return diskFault(error, datastore, path);
  const file = datastore.format(path);
  if (/no space left|disk quota exceeded/i.test(error.message)) return faults.noSpace(file, datastore.name, error);
  return fault('FileFault', { file }, error.message, { cause: error });
}
