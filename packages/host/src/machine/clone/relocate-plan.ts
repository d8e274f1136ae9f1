import { readdir } from 'node:fs/promises';
import { joinPath, splitPath } from '@hypostyle/services';
import { fault, type VirtualMachineRelocateSpec } from '@hypostyle/vim';
import { equipmentOf } from '../../configuration/equipment.ts';
import type { Disk } from '../../configuration/machine-configuration.ts';
import { sharedDiskFault } from '../../configuration/shared-disk.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { fileType } from '../files/machine-files.ts';
import { heldFiles } from '../record/held-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { mustShareWithNone } from '../record/shared-paths.ts';
import { allocationOf, invalid, targetDatastore } from './clone-request.ts';
import { diskTarget } from './disk-departures.ts';
import type { FlattenedDisk } from './flattened-disk.ts';
import { type LiveDisk, liveDisks } from './live-disks.ts';

/** What a move of a machine's files is to do. */
export interface RelocatePlan {
  readonly datastore: Datastore;
  /** Names in the machine's folder that are copied as they are. */
  readonly copied: readonly string[];
  readonly flattened: readonly FlattenedDisk[];
  /** Disks that stay where they are while the machine goes. */
  readonly apart: readonly Disk[];
  /** Disks that go there under the guest; undefined for a machine that is off. */
  readonly live: readonly LiveDisk[] | undefined;
}

const moveTypes = new Set([
  'moveAllDiskBackingsAndAllowSharing',
  'moveAllDiskBackingsAndDisallowSharing',
  'moveAllDiskBackingsAndConsolidate',
  'moveChildMostDiskBacking',
]);

/**
 * Understands a spec for a machine as it is now, but for disks that move by themselves (`departures`), which are done
 * first; undefined where nothing of it is to be moved. Throws the documented faults.
 */
export async function relocatePlan(
  core: HostCore,
  machine: MachineRecord,
  spec: VirtualMachineRelocateSpec,
): Promise<RelocatePlan | undefined> {
  if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
  if (spec.deviceChange !== undefined)
    throw fault('NotSupported', {}, 'spec.deviceChange: devices are changed by ReconfigVM_Task.');
  const datastore = targetDatastore(core, machine, spec);
  const { configuration, disks, vmxPath } = machine;
  for (const { diskId } of spec.disk ?? [])
    if (!disks.has(diskId)) throw invalid('disk.diskId', `the machine has no disk ${diskId}`);
  const { folder } = splitPath(vmxPath);
  const runs = machine.powerState === 'poweredOn';
  const flattened: FlattenedDisk[] = [];
  const apart: Disk[] = [];
  // A disk is not changed under a guest that writes it: it becomes another one.
  const moves = runs || datastore !== machine.datastore;
  let reshaped = false;
  for (const disk of configuration.disks) {
    const facts = disks.get(disk.key);
    if (facts === undefined || facts.problem !== undefined)
      throw fault('FileFault', { file: disk.fileName }, facts?.problem ?? 'The disk cannot be read.');
    const locator = spec.disk?.find(({ diskId }) => diskId === disk.key);
    const moveType = locator?.diskMoveType ?? spec.diskMoveType;
    if (moveType !== undefined && !moveTypes.has(moveType))
      throw invalid('diskMoveType', `'${moveType.slice(0, 60)}' is not for moves`);
    if (moves && diskTarget(core, machine, disk, spec) !== datastore) {
      apart.push(disk);
      continue;
    }
    const { thinProvisioned, eagerlyScrub } = (locator?.diskBackingInfo ?? {}) as {
      readonly thinProvisioned?: boolean;
      readonly eagerlyScrub?: boolean;
    };
    const asked = spec.transform !== undefined || thinProvisioned !== undefined || eagerlyScrub !== undefined;
    const allocation = allocationOf(locator?.diskBackingInfo, spec, facts);
    const changes = asked && (allocation === 'eager' || facts.thin !== (allocation === 'thin'));
    const outside = facts.chain.flat().some((path) => splitPath(path).folder !== folder);
    if (changes) reshaped = true;
    if (changes || (moves && outside) || (moves && moveType === 'moveAllDiskBackingsAndConsolidate'))
      flattened.push({ key: disk.key, fileName: freeName(configuration.disks, disk), allocation });
  }
  if (datastore === machine.datastore && !reshaped) return undefined;
  if (flattened.length > 0 && machine.snapshots.entries.length > 0)
    throw fault(
      'NotSupported',
      {},
      'A machine with snapshots is moved with its disks as they are; remove the snapshots, or leave out the transform. One that stands on disks of another folder is made whole by PromoteDisks_Task first.',
    );
  const shared = runs ? sharedDiskFault(configuration, 'its machine moves while it is off') : undefined;
  if (shared !== undefined) throw shared;
  mustShareWithNone(core, machine);
  // Its process goes on with the file that it has open.
  if (runs && datastore !== machine.datastore && equipmentOf(configuration).tpm)
    throw fault('NotSupported', {}, 'A machine with a TPM moves to another datastore while it is off.');
  if (machine.snapshots.entries.length > 0 && apart.some(({ fileName }) => !fileName.startsWith('/')))
    throw fault(
      'NotSupported',
      {},
      'Disks of a machine with snapshots do not stay behind; remove the snapshots first.',
    );
  const going = configuration.disks.filter((disk) => !apart.includes(disk));
  const live = runs ? await liveDisks(core, machine, flattened, going) : undefined;
  const stays = live === undefined && datastore === machine.datastore;
  const left = [...flattened, ...apart];
  return { datastore, copied: stays ? [] : await namesToCopy(machine, left, live), flattened, apart, live };
}

/** The name of a disk in the one folder that it comes to with others, which may be called the same elsewhere. */
function freeName(disks: readonly Disk[], { key, fileName }: Disk): string {
  const plain = (path: string) => splitPath(path).name.replace(/-\d{6}\.vmdk$/i, '.vmdk');
  const before = disks
    .slice(
      0,
      disks.findIndex((disk) => disk.key === key),
    )
    .map((disk) => plain(disk.fileName));
  if (!before.includes(plain(fileName))) return splitPath(fileName).name;
  const taken = new Set(disks.map((disk) => plain(disk.fileName)));
  const stem = plain(fileName).replace(/\.vmdk$/i, '');
  for (let number = 1; ; number += 1) {
    const name = `${stem}_${key}_${number}.vmdk`;
    if (!taken.has(name)) return name;
  }
}

/** Files of the machine in its folder, without disks that stay or are made anew on the way, and what a guest writes. */
export async function namesToCopy(
  machine: MachineRecord,
  without: readonly Pick<Disk, 'key'>[],
  live: readonly LiveDisk[] = [],
): Promise<string[]> {
  const { datastore, vmxPath, disks } = machine;
  const { folder, name: vmxName } = splitPath(vmxPath);
  const stem = vmxName.replace(/\.[^.]*$/, '');
  const anew = new Set(without.flatMap(({ key }) => disks.get(key)?.chain.flat() ?? []));
  const held = heldFiles(machine);
  const mirrored = new Set(live.flatMap(({ replaced }) => replaced));
  const entries = await readdir(datastore.absolute(folder), { withFileTypes: true });
  const alone = folder !== '' && !entries.some(({ name }) => /\.vmx$/i.test(name) && name !== vmxName);
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && entry.name !== vmxName)
    .map(({ name }) => name)
    .filter((name) => {
      const path = joinPath(folder, name);
      if (anew.has(path) || mirrored.has(name)) return false;
      if (held.has(path)) return true;
      if (fileType(name) === undefined || /\.(vmdk|qcow2)$/i.test(name)) return false;
      return alone || name.startsWith(`${stem}.`) || name.startsWith(`${stem}-`);
    });
}
