import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  createDelta,
  createMachineDisk,
  type DiskChain,
  deltaFiles,
  faults,
  joinPath,
  machineDiskFiles,
  nextDeltaName,
  readDiskChain,
  splitPath,
} from '@hypostyle/services';
import { fault, type RunningTask } from '@hypostyle/vim';
import { badDevice, type DeviceEffect } from '../../configuration/device-draft.ts';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { unshareable, unshareableFault } from '../../configuration/shared-disk.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import { heldFiles, heldFilesOn } from '../record/held-files.ts';
import { withImageNames } from './image-names.ts';
import { diskPath } from './machine-files.ts';

export interface EffectsOptions {
  readonly datastore: Datastore;
  readonly vmxPath: string;
  readonly configuration: MachineConfiguration;
  readonly effects: readonly DeviceEffect[];
  /** `upload`: new disks are not made, but named and answered as uploads. */
  readonly disks: 'create' | 'upload';
  readonly task: RunningTask;
  /** Told of every file that is about to be made, absolute, with those before it. */
  planned(files: readonly string[]): Promise<void>;
}

/** A disk that an upload will make. */
export interface DiskUpload {
  readonly key: number;
  /** Path of the descriptor in the datastore. */
  readonly path: string;
  readonly capacityBytes: number;
  readonly allocation: 'thin' | 'thick' | 'eager';
}

export interface AppliedEffects {
  readonly configuration: MachineConfiguration;
  /** Absolute paths of what was made, for taking it back. */
  readonly made: readonly string[];
  readonly uploads: readonly DiskUpload[];
  /** Disks that are to be larger: done once nothing can fail any more, since it is not taken back. */
  readonly growths: readonly DiskGrowth[];
}

type CreateDisk = Extract<DeviceEffect, { kind: 'create-disk' }>;

/** Makes and checks what a new configuration's disks need, and names their files. What was made is taken back if it fails. */
export async function applyEffects(core: HostCore, options: EffectsOptions): Promise<AppliedEffects> {
  const { datastore, effects } = options;
  await checkSpace(core, options, effects);
  let configuration = withImageNames(core.datastores, options, options.configuration);
  const made: string[] = [];
  const uploads: DiskUpload[] = [];
  const growths: DiskGrowth[] = [];
  const name = (key: number, fileName: string) => {
    const rename = (disk: Disk) => (disk.key === key ? { ...disk, fileName } : disk);
    configuration = { ...configuration, disks: configuration.disks.map(rename) };
  };
  try {
    for (const effect of effects) {
      if (effect.kind === 'create-disk') {
        const announce = (marker: string) => options.planned([...made, marker]);
        const path = await newDiskPath(core, { ...options, announce }, effect, configuration);
        name(effect.key, nameFrom(options, path));
        const at = datastore.locate(path);
        if (options.disks === 'upload') {
          uploads.push({ key: effect.key, path, capacityBytes: effect.capacityBytes, allocation: effect.allocation });
          // What comes to the machine's folder goes with that.
          if (at.datastore !== datastore) made.push(...uploadedFiles(at.datastore, at.path));
          await options.planned(made);
        } else {
          await options.planned([...made, ...machineDiskFiles(at.datastore, at.path)]);
          made.push(...(await createDisk(options, path, effect)));
        }
      } else if (effect.kind === 'create-child') {
        const path = await childPath(core, options, effect, configuration);
        name(effect.key, nameFrom(options, path));
        await options.planned([...made, ...deltaFiles(datastore.absolute(path))]);
        made.push(...(await createChild(core, options, path, effect.parent)));
      } else if (effect.kind === 'attach-disk') {
        name(effect.key, await attachDisk(core, options, effect.fileName));
      } else if (effect.kind === 'same-disk') {
        checkSameDisk(core, [options], effect);
      } else if (effect.kind === 'grow-disk') {
        const growth = await growthOf(core, options, effect);
        if (growth !== undefined) growths.push(growth);
      } else if (effect.kind === 'share-disk' && options.disks === 'create') {
        await checkShareable(options, configuration, effect);
      }
    }
  } catch (error) {
    await removeMade(made);
    throw error;
  }
  return { configuration, made, uploads, growths };
}

/** A disk that is let go of, with its files within its folder; paths are absolute. */
export interface DoomedDisk {
  readonly path: string;
  readonly files: readonly string[];
}

/** Throws InvalidDeviceBacking for a disk that several machines cannot write. */
async function checkShareable(
  { datastore, vmxPath }: EffectsOptions,
  { disks }: MachineConfiguration,
  { key, index }: Extract<DeviceEffect, { kind: 'share-disk' }>,
): Promise<void> {
  const disk = disks.find((known) => known.key === key);
  const path = disk && datastore.relative(vmxPath, disk.fileName);
  if (disk === undefined || path === undefined) return;
  const reason = unshareable(disk, await readAttachedChain(datastore, path));
  if (reason !== undefined) throw unshareableFault(datastore.format(path), reason, index);
}

/** What will be deleted with a reconfiguration: found out before, since half a disk does not say it any more. */
export async function doomedDisks(
  datastore: Datastore,
  vmxPath: string,
  effects: readonly DeviceEffect[],
): Promise<DoomedDisk[]> {
  const doomed: DoomedDisk[] = [];
  for (const effect of effects) {
    if (effect.kind !== 'destroy-disk') continue;
    doomed.push(await doomedDisk(datastore, diskPath(datastore, vmxPath, effect.fileName)));
  }
  return doomed;
}

/** A disk with the files that would go with it, by its absolute path. */
export async function doomedDisk(datastore: Datastore, path: string): Promise<DoomedDisk> {
  const chain = await readDiskChain(path, {
    allowOutside: (other) => datastore.holds(other),
  }).catch(() => undefined);
  // Of a damaged disk go the files that a disk of that name has.
  const files =
    chain?.links.flatMap(({ descriptorPath, extentPaths, changesPath }) =>
      changesPath === undefined ? [descriptorPath, ...extentPaths] : [descriptorPath, ...extentPaths, changesPath],
    ) ?? filesNamed(datastore, path);
  return { path, files: files.filter((file) => file.startsWith(`${dirname(path)}/`)) };
}

/** Deletes the files of disks that the new configuration let go of. Done last: nothing names them any more. */
export async function destroyDisks(core: HostCore, datastore: Datastore, doomed: readonly DoomedDisk[]): Promise<void> {
  if (doomed.length === 0) return;
  const inUse = new Set([...core.machines.all()].flatMap((machine) => [...heldFilesOn(machine, datastore)]));
  const folders = doomed.map(({ path }) => splitPath(datastore.pathOf(path)).folder);
  for (const held of await core.diskChildren.held(datastore, folders))
    for (const file of heldFiles(held)) inUse.add(file);
  for (const file of doomed.flatMap((disk) => disk.files)) {
    const path = datastore.pathOf(file);
    if (inUse.has(path)) continue;
    // A folder on another datastore is there for its disks alone.
    if (path.startsWith('/')) await removeMade([file]);
    else await rm(file, { force: true });
  }
}

/** Throws NoDiskSpace where a datastore has no room for the disks that are to be made on it. */
async function checkSpace(
  core: HostCore,
  options: Pick<EffectsOptions, 'datastore' | 'vmxPath'>,
  effects: readonly DeviceEffect[],
): Promise<void> {
  const creates = effects.filter((effect): effect is CreateDisk => effect.kind === 'create-disk');
  for (const [datastore, disks] of Map.groupBy(creates, (effect) => datastoreOf(core, options, effect)))
    await checkRoom(datastore, disks);
}

async function checkRoom(datastore: Datastore, creates: readonly CreateDisk[]): Promise<void> {
  const space = await spaceOf(datastore);
  if (space === undefined)
    throw fault(
      'DatastoreNotWritableOnHost',
      { datastore: datastore.ref, name: datastore.name, host: { type: 'HostSystem', value: 'ha-host' } },
      `The datastore '${datastore.name}' is not accessible.`,
    );
  for (const { capacityBytes, allocation } of creates) {
    // A thin disk may be larger than what is free, but not than the whole datastore: it could never be filled.
    const room = allocation === 'thin' ? space.capacityBytes : space.freeBytes;
    if (capacityBytes > room) throw faults.noSpace(datastore.format(''), datastore.name);
  }
}

/** Where a new disk goes: the name that the client gave, or the machine's own with a number. */
async function newDiskPath(
  core: HostCore,
  { datastore, vmxPath, announce }: Pick<EffectsOptions, 'datastore' | 'vmxPath'> & Announcing,
  effect: CreateDisk,
  configuration: MachineConfiguration,
): Promise<string> {
  const { name: vmxName } = splitPath(vmxPath);
  const asked = effect.fileName === '' ? '' : pathOnDatastore(core, datastore, vmxPath, effect.fileName);
  const place = datastoreOf(core, { datastore, vmxPath }, effect);
  const { folder: home } = splitPath(vmxPath);
  if (asked.toLowerCase().endsWith('.vmdk')) {
    if (await exists(datastore.absolute(asked))) {
      if (effect.replace !== true) throw faults.exists(datastore.format(asked));
      await makeRoom(core, datastore, asked);
    }
    if (place !== datastore) {
      const there = splitPath(asked).folder;
      if (!(await exists(datastore.absolute(there)))) throw faults.notFound(datastore.format(there));
    } else if (splitPath(asked).folder !== home)
      throw fault(
        'InvalidDatastorePath',
        { datastorePath: effect.fileName },
        `A new disk lies in its machine's folder ${datastore.format(home)}.`,
      );
    return asked;
  }
  const stem = vmxName.replace(/\.vmx$/i, '');
  const folder = place === datastore ? home : await folderOn(place, { datastore, vmxPath, announce }, configuration);
  // Disks of one machine have names of their own wherever they are: they may come together one day.
  const taken = new Set([
    ...configuration.disks.map((disk) => splitPath(disk.fileName).name),
    ...(await readdir(datastore.absolute(folder)).catch(nothingThere)),
  ]);
  for (let number = 0; ; number += 1) {
    const name = number === 0 ? `${stem}.vmdk` : `${stem}_${number}.vmdk`;
    if (!taken.has(name)) return joinPath(folder, name);
  }
}

/** The path of a machine, see `Datastore.locate`, of a file that a client names. */
function pathOnDatastore(core: HostCore, datastore: Datastore, vmxPath: string, fileName: string): string {
  if (!fileName.startsWith('[')) {
    const path = datastore.relative(vmxPath, fileName);
    if (path === undefined) throw faults.invalidPath(fileName, `it is not on the datastore '${datastore.name}'`);
    return path;
  }
  const parsed = core.datastores.parseOfTask(
    fileName.startsWith('[]') ? `[${datastore.name}]${fileName.slice(2)}` : fileName,
  );
  return datastore.pathFrom(parsed.datastore, parsed.path);
}

/** The datastore that a new disk is to be on: what its name says, or the client beside it; else its machine's. */
function datastoreOf(
  core: HostCore,
  { datastore, vmxPath }: Pick<EffectsOptions, 'datastore' | 'vmxPath'>,
  effect: CreateDisk,
): Datastore {
  if (effect.fileName !== '')
    return datastore.locate(pathOnDatastore(core, datastore, vmxPath, effect.fileName)).datastore;
  if (effect.datastore === undefined) return datastore;
  return core.datastores.get({ type: 'Datastore', value: effect.datastore });
}

interface Announcing {
  /** Told of a file in a folder that is about to be made, which itself is never made. */
  readonly announce: (marker: string) => Promise<void>;
}

/** The folder of a machine's disks on another datastore: that which it has there, or one that is made for it. */
export async function folderOn(
  place: Datastore,
  { datastore, vmxPath, announce }: Pick<EffectsOptions, 'datastore' | 'vmxPath'> & Announcing,
  { disks }: Pick<MachineConfiguration, 'disks'>,
): Promise<string> {
  for (const { fileName } of disks) {
    const known = datastore.relative(vmxPath, fileName);
    const at = known === undefined ? undefined : datastore.locate(known);
    if (at?.datastore === place && splitPath(at.path).folder !== '') return splitPath(known ?? '').folder;
  }
  const { folder, name: vmxName } = splitPath(vmxPath);
  const stem = splitPath(folder).name || vmxName.replace(/\.vmx$/i, '');
  for (let number = 0; ; number += 1) {
    const name = number === 0 ? stem : `${stem}_${number}`;
    const folder = place.absolute(name);
    if (await exists(folder)) continue;
    await announce(join(folder, '.hypo-made'));
    // Of two that want it at a time, one makes it.
    if (await isMade(folder)) return datastore.pathFrom(place, name);
  }
}

/** Absolute paths of what an upload makes of a disk. */
function uploadedFiles(datastore: Datastore, path: string): string[] {
  const files = machineDiskFiles(datastore, path);
  return [...files, ...files.map((file) => `${file}.partial`)];
}

async function isMade(folder: string): Promise<boolean> {
  return mkdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

/** How a `.vmx` names a disk: bare beside it, else `/vmfs/volumes/<uuid>/…`. */
export function nameFrom({ datastore, vmxPath }: Pick<EffectsOptions, 'datastore' | 'vmxPath'>, path: string): string {
  if (splitPath(path).folder === splitPath(vmxPath).folder) return splitPath(path).name;
  const at = datastore.locate(path);
  return join(at.datastore.url, at.path);
}

/** The files that a disk of a name has, absolute as its own path is. */
function filesNamed(datastore: Datastore, path: string): string[] {
  const at = datastore.locate(datastore.pathOf(path));
  return machineDiskFiles(at.datastore, at.path);
}

/** Takes back files that were made, and the folders that are empty without them. */
export async function removeMade(made: readonly string[]): Promise<void> {
  for (const path of made) await rm(path, { force: true });
  for (const folder of new Set(made.map((path) => dirname(path)))) await rmdir(folder).catch(() => {});
}

function nothingThere(error: unknown): string[] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw error;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function createDisk(options: EffectsOptions, path: string, effect: CreateDisk): Promise<string[]> {
  const { task, configuration, datastore } = options;
  const at = datastore.locate(path);
  return createMachineDisk({
    root: at.datastore,
    path: at.path,
    capacityBytes: effect.capacityBytes,
    allocation: effect.allocation,
    adapter: adapterOf(configuration, effect.key),
    hardwareVersion: configuration.hardwareVersion,
    signal: task.signal,
    onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
  });
}

/** Adapter type that a disk's descriptor names, by its controller. */
export function adapterOf(configuration: MachineConfiguration, diskKey: number): 'ide' | 'buslogic' | 'lsilogic' {
  const disk = configuration.disks.find((known) => known.key === diskKey);
  const controller = configuration.controllers.find((known) => known.key === disk?.controllerKey);
  if (controller?.family === 'ide') return 'ide';
  return controller?.model === 'buslogic' ? 'buslogic' : 'lsilogic';
}

/** Checks a disk that is there already; answers how the `.vmx` names it. */
async function attachDisk(core: HostCore, { datastore, vmxPath }: EffectsOptions, fileName: string): Promise<string> {
  const path = pathOnDatastore(core, datastore, vmxPath, fileName);
  await readAttachedChain(datastore, path);
  return nameFrom({ datastore, vmxPath }, path);
}

/** Takes a disk away that another one is to replace; one that a machine has stays. */
async function makeRoom(core: HostCore, datastore: Datastore, path: string): Promise<void> {
  for (const machine of core.machines.all()) {
    if (heldFilesOn(machine, datastore).has(path))
      throw fault(
        'FileLocked',
        { file: datastore.format(path) },
        `The disk ${datastore.format(path)} is used by '${machine.configuration.name}'.`,
      );
  }
  await destroyDisks(core, datastore, [await doomedDisk(datastore, datastore.absolute(path))]);
}

type CreateChild = Extract<DeviceEffect, { kind: 'create-child' }>;

/** Where a child of a disk goes: its machine's folder, under the name that the client gave or the parent's. */
async function childPath(
  core: HostCore,
  { datastore, vmxPath }: EffectsOptions,
  effect: CreateChild,
  configuration: MachineConfiguration,
): Promise<string> {
  const { folder } = splitPath(vmxPath);
  const asked = effect.fileName === '' ? '' : pathOnDatastore(core, datastore, vmxPath, effect.fileName);
  const taken = new Set([
    ...configuration.disks.map((disk) => disk.fileName),
    ...(await readdir(datastore.absolute(folder))),
  ]);
  const wanted = splitPath(asked);
  if (wanted.folder === folder && wanted.name.toLowerCase().endsWith('.vmdk') && !taken.has(wanted.name)) return asked;
  const parent = pathOnDatastore(core, datastore, vmxPath, effect.parent);
  if (datastore.locate(parent).datastore !== datastore)
    throw fault('NotSupported', {}, `${effect.parent}: a disk lies on another one of its machine's datastore only.`);
  return joinPath(
    folder,
    nextDeltaName(splitPath(parent).name, (name) => taken.has(name)),
  );
}

async function createChild(
  core: HostCore,
  { datastore, vmxPath }: EffectsOptions,
  path: string,
  parentName: string,
): Promise<readonly string[]> {
  const parentPath = pathOnDatastore(core, datastore, vmxPath, parentName);
  const parent = await readAttachedChain(datastore, parentPath);
  const absolute = datastore.absolute(path);
  await createDelta({ path: absolute, parent, images: core.hypervisor.images });
  return deltaFiles(absolute);
}

async function readAttachedChain(datastore: Datastore, path: string): Promise<DiskChain> {
  const absolute = datastore.absolute(path);
  try {
    return await readDiskChain(absolute, { allowOutside: (other) => datastore.holds(other) });
  } catch (error) {
    if (!(await exists(absolute))) throw faults.notFound(datastore.format(path));
    const message = error instanceof Error ? error.message : String(error);
    throw fault('InvalidDiskFormat', {}, message, { cause: error });
  }
}

/** A disk is not put in the place of another one by an edit. */
/** Throws InvalidDeviceSpec where a client that edits a disk names another file than any of these machines has for it. */
export function checkSameDisk(
  core: HostCore,
  machines: readonly Pick<EffectsOptions, 'datastore' | 'vmxPath' | 'configuration'>[],
  { key, fileName, index }: Extract<DeviceEffect, { kind: 'same-disk' }>,
): void {
  if (!fileName.toLowerCase().endsWith('.vmdk')) return;
  const same = machines.some(({ datastore, vmxPath, configuration }) => {
    const disk = configuration.disks.find((known) => known.key === key);
    if (disk === undefined || fileName === disk.fileName) return true;
    return pathOnDatastore(core, datastore, vmxPath, fileName) === datastore.relative(vmxPath, disk.fileName);
  });
  if (same) return;
  throw badDevice(index, 'device.backing.fileName', 'a disk is removed and another one added, not exchanged');
}

/** A disk that is to be larger. */
export interface DiskGrowth {
  /** Key of the disk in the new configuration. */
  readonly key: number;
  /** Of the descriptor, absolute. */
  readonly path: string;
  readonly capacityBytes: number;
}

/** What is to be done for a disk to have a size: nothing where the spec repeats the one that it has. */
async function growthOf(
  core: HostCore,
  { datastore, vmxPath, configuration }: EffectsOptions,
  { key, capacityBytes: first, otherBytes, index }: Extract<DeviceEffect, { kind: 'grow-disk' }>,
): Promise<DiskGrowth | undefined> {
  const disk = configuration.disks.find((known) => known.key === key);
  if (disk === undefined) return undefined;
  const path = diskPath(datastore, vmxPath, disk.fileName);
  const chain = await readDiskChain(path, { allowOutside: (other) => datastore.holds(other) });
  const isPresent = (bytes: number) => Math.floor(chain.capacityBytes / 1024) === Math.floor(bytes / 1024);
  const capacityBytes = isPresent(first) ? (otherBytes ?? first) : first;
  if (isPresent(capacityBytes)) return undefined;
  const refuse = (reason: string) =>
    fault(
      'InvalidDeviceOperation',
      { deviceIndex: index, badOp: 'edit', property: 'virtualDeviceSpec.device.capacityInKB' },
      reason,
    );
  if (capacityBytes < chain.capacityBytes) throw refuse('A disk cannot be made smaller.');
  if (chain.links.length > 1) {
    throw refuse('A disk with snapshots, or on the files of another, does not grow: remove the snapshots first.');
  }
  if (chain.links[0].kind === 'foreign')
    throw refuse('A disk that was made elsewhere does not grow before it ran here.');
  const file = datastore.pathOf(path);
  for (const machine of core.machines.all()) {
    if (machine.datastore === datastore && machine.vmxPath === vmxPath) continue;
    if (!heldFilesOn(machine, datastore).has(file)) continue;
    throw refuse(`The disk is used by '${machine.configuration.name}' too.`);
  }
  const at = datastore.locate(file).datastore;
  const space = await spaceOf(at);
  const room = chain.thin ? space?.capacityBytes : space && space.freeBytes + chain.capacityBytes;
  if (room !== undefined && capacityBytes > room) throw faults.noSpace(at.format(''), at.name);
  return { key, path, capacityBytes };
}
