import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import {
  copyMachineDisk,
  createDelta,
  type DiskChain,
  diskFault,
  faults,
  growMachineDisk,
  joinPath,
  machineDiskFiles,
  maximumChainLength,
  splitPath,
  storedBytes,
} from '@hypostyle/services';
import { type CustomizationSpec, fault, type RunningTask, type VmConfigInfo } from '@hypostyle/vim';
import type { DeviceEffect } from '../../configuration/device-draft.ts';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import { writeVApp } from '../../vapp/vapp-file.ts';
import { VmxFile } from '../../vmx/vmx-file.ts';
import { putCustomization } from '../customize/pending-customization.ts';
import { adapterOf, applyEffects, folderOn, nameFrom } from '../files/disk-effects.ts';
import { listFiles } from '../files/list-files.ts';
import { diskPath, factsOfChain } from '../files/machine-files.ts';
import type { FolderFacts } from '../registration/registration.ts';
import { emptySnapshots } from '../snapshot/machine-snapshots.ts';
import { allDone, StagedFiles, writeDurably } from '../snapshot/staged-files.ts';
import { stemOf } from './clone-configuration.ts';
import type { CloneRequest, DiskWay } from './clone-request.ts';
import { type MemoryImage, takeMemory } from './instant-clone.ts';

/** A folder that is to become a machine. */
export interface CloneFiles {
  readonly request: CloneRequest;
  readonly vmxPath: string;
  /** Chain of a disk of the original, by the name that its configuration has for it. */
  readonly readChain: (fileName: string) => Promise<DiskChain>;
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

/**
 * Makes the disks and files of a clone in its folder, which is new and nobody's yet: all at a time, with one sync of the
 * folder. Its `.vmx` has its name last. Answers what the folder says where that is known: of clones that are linked.
 */
export async function makeCloneFiles(core: HostCore, files: CloneFiles): Promise<FolderFacts | undefined> {
  const { request, vmxPath, effects, task, planned } = files;
  const { datastore } = request;
  const found = await plannedDisks(files);
  await checkSpace(found);
  const { disks, configuration, made } = await placeDisks(files, found);
  let linked = new Map<number, DiskChain>();
  const makeDisks = async () => {
    linked = await linkDisks(core, files, disks);
    await copyDisks(core, files, disks);
  };
  // What the spec adds may fail for want of room: after the copies, as they come first.
  if (effects.length > 0) await makeDisks();
  const applied = await applyEffects(core, {
    datastore,
    vmxPath,
    configuration,
    effects,
    disks: 'create',
    task,
    planned: (more) => planned([...made, ...more]),
  });
  for (const { path, capacityBytes } of applied.growths)
    await growMachineDisk({ root: datastore, path, capacityBytes });
  if (files.vApp !== undefined) await writeVApp(datastore, vmxPath, files.vApp);
  if (files.customization !== undefined) await putCustomization({ datastore, vmxPath }, files.customization);
  writeConfiguration(files.vmx, { ...applied.configuration, hasVApp: files.vApp !== undefined }, core.guestOs);
  if (files.memory !== undefined)
    await takeMemory(request.source.machine, files.memory, { datastore, vmxPath }, files.vmx);
  const path = datastore.absolute(vmxPath);
  const staged = new StagedFiles();
  const text = files.vmx.toString();
  staged.add(path, text);
  await allDone([
    ...(effects.length > 0 ? [] : [makeDisks()]),
    ...(files.nvram === undefined ? [] : [writeDurably(join(dirname(path), `${stemOf(vmxPath)}.nvram`), files.nvram)]),
    staged.whole(),
  ]);
  await staged.publish();
  const known = effects.length === 0 && files.vApp === undefined && files.memory === undefined;
  return known && applied.configuration.disks.every(({ key }) => linked.has(key))
    ? await factsOfLinked(core, files, text, linked)
    : undefined;
}

/** What the folder of a linked clone says, without reading what was just written. */
async function factsOfLinked(
  core: HostCore,
  { request: { datastore }, vmxPath, nvram }: CloneFiles,
  text: string,
  linked: ReadonlyMap<number, DiskChain>,
): Promise<FolderFacts> {
  const stem = stemOf(vmxPath);
  const configuration = configurationFromVmx(VmxFile.parse(Buffer.from(text), vmxPath), core.guestOs, stem);
  const disks = new Map([...linked].map(([key, chain]) => [key, factsOfChain(datastore, chain)]));
  const own = [...linked.values()].flatMap(({ links: [{ descriptorPath, extentPaths }] }) => [
    basename(descriptorPath),
    ...extentPaths.map((extent) => basename(extent)),
  ]);
  const made = [...own, splitPath(vmxPath).name, ...(nvram === undefined ? [] : [`${stem}.nvram`])];
  const [files, { mtime }] = await Promise.all([
    listFiles(datastore, vmxPath, { disks }, made.toSorted()),
    stat(datastore.absolute(vmxPath)),
  ]);
  const none = { vApp: undefined, vAppProblem: undefined, snapshots: emptySnapshots, changes: [] };
  return { ...none, configuration, modified: mtime.toISOString(), disks, files };
}

/** Disks of the clone that the original has: what the spec took away is not made. */
async function plannedDisks({ request, configuration, readChain }: CloneFiles): Promise<PlannedDisk[]> {
  const { source, ways } = request;
  const planned: PlannedDisk[] = [];
  for (const disk of configuration.disks) {
    const original = source.configuration.disks.find(({ key }) => key === disk.key);
    const way = ways.get(disk.key);
    // A key that was given again is that of another disk.
    if (original === undefined || way === undefined || !isSamePlace(original, disk)) continue;
    planned.push({ disk, way, source: await readChain(original.fileName) });
  }
  return planned;
}

function isSamePlace(one: Disk, other: Disk): boolean {
  return one.controllerKey === other.controllerKey && one.unit === other.unit;
}

/** Gives disks that come to other datastores their places there, which are written down before they are made. */
async function placeDisks({ request, vmxPath, configuration: before, planned }: CloneFiles, found: PlannedDisk[]) {
  const { datastore } = request;
  const disks: PlannedDisk[] = [];
  const made: string[] = [];
  let configuration = before;
  for (const each of found) {
    const { way, disk } = each;
    if (way.kind !== 'copy' || way.datastore === datastore) {
      disks.push(each);
      continue;
    }
    const announce = (marker: string) => planned([...made, marker]);
    const folder = await folderOn(way.datastore, { datastore, vmxPath, announce }, configuration);
    const path = joinPath(folder, disk.fileName);
    const at = datastore.locate(path);
    made.push(...machineDiskFiles(at.datastore, at.path));
    await planned(made);
    const placed = { ...disk, fileName: nameFrom({ datastore, vmxPath }, path) };
    const rename = (one: Disk) => (one.key === disk.key ? placed : one);
    configuration = { ...configuration, disks: configuration.disks.map(rename) };
    disks.push({ ...each, disk: placed });
  }
  return { disks, configuration, made };
}

/** Throws NoDiskSpace where a datastore has no room for what is copied to it. */
async function checkSpace(disks: readonly PlannedDisk[]): Promise<void> {
  const copies = disks.flatMap((disk) => (disk.way.kind === 'copy' ? [{ ...disk, way: disk.way }] : []));
  for (const [datastore, some] of Map.groupBy(copies, ({ way }) => way.datastore)) await checkRoom(datastore, some);
}

async function checkRoom(datastore: Datastore, copies: readonly PlannedDisk[]): Promise<void> {
  const space = await spaceOf(datastore);
  if (space === undefined) throw faults.cannotAccess(datastore.format(''), 'the datastore is not accessible');
  let needed = 0;
  for (const { way, source } of copies)
    needed += way.kind === 'copy' && way.allocation !== 'thin' ? source.capacityBytes : await storedBytes(source);
  if (needed > space.freeBytes) throw faults.noSpace(datastore.format(''), datastore.name);
}

/** The chains of those that are linked, by device key. */
async function linkDisks(
  core: HostCore,
  { request, vmxPath }: CloneFiles,
  disks: readonly PlannedDisk[],
): Promise<Map<number, DiskChain>> {
  const { datastore } = request;
  const linked = disks.filter(({ way }) => way.kind === 'link');
  const chains = new Map<number, DiskChain>();
  if (linked.length === 0) return chains;
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
  await allDone(
    linked.map(async ({ disk, source }) => {
      const chain = await createDelta({
        path: diskPath(datastore, vmxPath, disk.fileName),
        parent: source,
        images: core.hypervisor.images,
        folderIsSynced: true,
      });
      chains.set(disk.key, chain);
    }),
  );
  return chains;
}

async function copyDisks(core: HostCore, files: CloneFiles, disks: readonly PlannedDisk[]): Promise<void> {
  const { request, vmxPath, configuration, task } = files;
  const { datastore } = request;
  const total = disks.reduce((sum, { way, source }) => sum + (way.kind === 'copy' ? source.capacityBytes : 0), 0);
  let done = 0;
  for (const { disk, way, source } of disks) {
    if (way.kind !== 'copy') continue;
    task.signal.throwIfAborted();
    const path = diskPath(datastore, vmxPath, disk.fileName);
    try {
      await copyMachineDisk({
        source,
        path,
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
      throw copyFault(error, way.datastore, way.datastore.pathOf(path));
    }
    done += source.capacityBytes;
  }
}

/** A copy that failed in the specification's words: what tools say of room is in their last words only. */
export function copyFault(error: unknown, datastore: Datastore, path: string) {
  if (!(error instanceof HypervisorError)) return diskFault(error, datastore, path);
  const file = datastore.format(path);
  if (/no space left|disk quota exceeded/i.test(error.message)) return faults.noSpace(file, datastore.name, error);
  return fault('FileFault', { file }, datastore.shown(error.message), { cause: error });
}
