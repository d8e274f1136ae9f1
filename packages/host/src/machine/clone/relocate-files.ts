import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyMachineDisk, faults, joinPath, readDiskChain, splitPath } from '@hypostyle/services';
import type { RunningTask } from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { adapterOf } from '../files/disk-effects.ts';
import { diskPath } from '../files/machine-files.ts';
import type { DoomedFiles } from '../files/machine-removal.ts';
import { driveNode } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { writeWhole } from '../snapshot/snapshot-files.ts';
import { copyFault } from './clone-files.ts';
import { type FlattenedDisk, newNameOf } from './flattened-disk.ts';
import { makeMirror } from './live-disks.ts';
import type { RelocatePlan } from './relocate-plan.ts';

/** Where the machine comes to, and what goes once it is there. */
export interface RelocateJournal {
  readonly datastore: string;
  readonly vmxPath: string;
  /** Of the place that it comes from; absolute paths of files where it stays in its folder. */
  readonly doomed: DoomedFiles | undefined;
}

/** Own files of a machine's folder that are of the place, or are written by those who know what they say. */
const ofThePlace = new Set(['vm.lck', 'children.json', 'changes.json', 'vapp.json', 'former.vmx']);

/** Takes away what was made of a machine's new place. */
export async function undoMove(core: HostCore, { datastore: uuid, vmxPath }: RelocateJournal): Promise<void> {
  const datastore = core.datastores.byUuid(uuid);
  const { folder } = splitPath(vmxPath);
  if (datastore !== undefined && folder !== '') await rm(datastore.absolute(folder), { recursive: true, force: true });
}

/** Throws NoDiskSpace where what is to come has no room. */
export async function checkSpace(
  machine: MachineRecord,
  { datastore, copied, flattened, live }: RelocatePlan,
): Promise<void> {
  const space = await spaceOf(datastore);
  if (space === undefined) throw faults.cannotAccess(datastore.format(''), 'the datastore is not accessible');
  let needed = 0;
  const folder = dirname(machine.datastore.absolute(machine.vmxPath));
  for (const name of copied) needed += (await stat(join(folder, name))).blocks * 512;
  for (const { allocation, capacityBytes, storedBytes } of live ?? [])
    needed += allocation === 'thin' ? Math.min(capacityBytes, storedBytes) : capacityBytes;
  for (const { key, allocation } of live === undefined ? flattened : [])
    if (allocation !== 'thin') needed += machine.disks.get(key)?.capacityBytes ?? 0;
  if (needed > space.freeBytes) throw faults.noSpace(datastore.format(''), datastore.name);
}

/** Copies all that nobody writes meanwhile, and makes the disks of a machine that runs, which have no bytes yet. */
export async function copyFiles(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { datastore, copied, flattened, live }: RelocatePlan,
  directory: string,
): Promise<void> {
  const { configuration } = machine;
  const anew = live === undefined ? flattened : [];
  const total = copied.length + anew.length;
  const share = live === undefined ? 85 : 25;
  const from = dirname(machine.datastore.absolute(machine.vmxPath));
  let done = 0;
  const onProgress = (fraction: number) =>
    task.progress(5 + Math.floor((share * (done + fraction)) / Math.max(1, total)));
  const step = async (name: string, work: () => Promise<void>) => {
    task.signal.throwIfAborted();
    try {
      await work();
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, joinPath(datastore.pathOf(directory), name));
    }
    done += 1;
  };
  const { signal } = task;
  const { images } = core.hypervisor;
  for (const name of copied)
    await step(name, () =>
      images.copyDisk({
        layers: [{ format: 'raw', path: join(from, name) }],
        path: join(directory, name),
        signal,
        onProgress,
      }),
    );
  for (const disk of anew)
    await step(disk.fileName, async () => {
      const source = await readDiskChain(diskPath(machine.datastore, machine.vmxPath, fileNameOf(machine, disk)), {
        allowOutside: (path) => machine.datastore.holds(path),
      });
      await copyMachineDisk({
        source,
        path: join(directory, newNameOf(machine, disk)),
        allocation: disk.allocation,
        adapter: adapterOf(configuration, disk.key),
        hardwareVersion: configuration.hardwareVersion,
        uuid: source.uuid,
        images,
        signal,
        onProgress,
      });
    });
  for (const disk of live ?? [])
    await step(disk.fileName, () => makeMirror(core, { datastore, directory, machine, disk, signal }));
  await copyOwnFiles(join(from, '.hypo'), join(directory, '.hypo'));
}

/** Names of what the service keeps of a machine in a folder of its own, such as what its guest is still to be told. */
export async function ownFileNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !ofThePlace.has(entry.name) && !entry.name.startsWith('.'))
    .map(({ name }) => name);
}

async function copyOwnFiles(from: string, to: string): Promise<void> {
  const names = await ownFileNames(from);
  if (names.length > 0) await mkdir(to, { recursive: true });
  for (const name of names) await writeWhole(join(to, name), await readFile(join(from, name)));
}

function fileNameOf({ configuration }: MachineRecord, { key }: FlattenedDisk): string {
  return configuration.disks.find((disk) => disk.key === key)?.fileName ?? '';
}

/** Disks that got bytes of their own have plain names; images beside the machine stay where they were. */
export function nameFiles(vmx: VmxFile, machine: MachineRecord, { flattened, apart }: RelocatePlan): void {
  const { configuration, datastore, vmxPath } = machine;
  const { folder } = splitPath(vmxPath);
  vmx.set('displayName', configuration.name);
  for (const disk of flattened) {
    const device = configuration.disks.find(({ key }) => key === disk.key);
    if (device !== undefined) vmx.set(`${driveNode(configuration, device)}.fileName`, newNameOf(machine, disk));
  }
  for (const disk of apart) {
    const path = datastore.relative(vmxPath, disk.fileName);
    if (path !== undefined) vmx.set(`${driveNode(configuration, disk)}.fileName`, volumePath(datastore, path));
  }
  const outside = (fileName: string | undefined) =>
    fileName === undefined || fileName === '' || /^[/[]/.test(fileName)
      ? undefined
      : join(datastore.url, folder, fileName);
  for (const cdrom of configuration.cdroms) {
    const path = cdrom.kind === 'iso' ? outside(cdrom.fileName) : undefined;
    if (path !== undefined) vmx.set(`${driveNode(configuration, cdrom)}.fileName`, path);
  }
  for (const floppy of configuration.floppies) {
    const path = outside(floppy.fileName);
    if (path !== undefined) vmx.set(`floppy${floppy.number}.fileName`, path);
  }
}

/** As any machine of the host names it: `/vmfs/volumes/<uuid>/…`. */
function volumePath(datastore: Datastore, path: string): string {
  const at = datastore.locate(path);
  return `${at.datastore.url}/${at.path}`;
}
