import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { BlockLayer, DiskMove } from '@hypostyle/contracts';
import {
  chainLayers,
  createMachineDisk,
  type DiskAllocation,
  type DiskChain,
  joinPath,
  readDiskChain,
  storedBytes,
} from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import type { Disk } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { adapterOf } from '../files/disk-effects.ts';
import { diskPath } from '../files/machine-files.ts';
import { diskIdOf } from '../power/hardware.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { writeWhole } from '../snapshot/snapshot-files.ts';
import { type FlattenedDisk, newNameOf } from './flattened-disk.ts';

/** A disk that a guest writes while it is copied. */
export interface LiveDisk {
  /** The engine's name of it. */
  readonly id: string;
  /** Device key. */
  readonly key: number;
  /** Name of its descriptor there. */
  readonly fileName: string;
  /** Absolute path of the layer that the guest writes. */
  readonly from: string;
  /** Whether the layers below are copied as they are: they do not change. */
  readonly copied: DiskMove['copied'];
  readonly allocation: DiskAllocation;
  readonly capacityBytes: number;
  /** Of the layers that are copied under the guest. */
  readonly storedBytes: number;
  /** Its descriptor is taken over: nothing of the disk but its place changes. */
  readonly descriptor: string | undefined;
  /** By which the guest knows the disk. */
  readonly uuid: string | undefined;
  /** Names of its layers there, top first. */
  readonly layers: readonly BlockLayer[];
  /** Files of the folder that are not copied. */
  readonly replaced: readonly string[];
}

/** How disks of a machine that runs come to another place. Throws NotSupported where one cannot. */
export async function liveDisks(
  core: HostCore,
  machine: MachineRecord,
  flattened: readonly FlattenedDisk[],
  disks: readonly Disk[],
): Promise<LiveDisk[]> {
  if (!core.hypervisorInfo.capabilities.diskMoves) throw invalidPowerState(machine, 'poweredOff');
  return await Promise.all(disks.map((disk) => liveDisk(machine, disk, flattened)));
}

async function liveDisk(machine: MachineRecord, disk: Disk, flattened: readonly FlattenedDisk[]): Promise<LiveDisk> {
  const { configuration, datastore, vmxPath } = machine;
  if (disk.mode === 'independent_nonpersistent')
    throw fault(
      'NotSupported',
      {},
      `${disk.fileName}: a disk whose writes are dropped at the end of a run stays where it is during the run.`,
    );
  const chain = await readDiskChain(diskPath(datastore, vmxPath, disk.fileName), {
    allowOutside: (path) => datastore.holds(path),
  });
  const [top] = chain.links;
  const flat = flattened.find(({ key }) => key === disk.key);
  const copied = flat !== undefined || chain.links.length === 1 ? 'all' : 'top';
  const fileName = flat === undefined ? basename(top.descriptorPath) : newNameOf(machine, flat);
  const flatName = fileName.replace(/\.vmdk$/i, '-flat.vmdk');
  const keeps = flat === undefined && (copied === 'top' || basename(top.layer.path) === flatName);
  const changes = chain.links.flatMap(({ changesPath }) => (changesPath === undefined ? [] : [basename(changesPath)]));
  const layers = chainLayers(chain).map(({ changesPath: _kept, ...layer }) => ({
    ...layer,
    path: basename(layer.path),
  }));
  return {
    id: diskIdOf(configuration, disk),
    key: disk.key,
    fileName,
    from: top.layer.path,
    copied,
    allocation: flat?.allocation ?? (chain.thin ? 'thin' : 'thick'),
    capacityBytes: chain.capacityBytes,
    storedBytes: await storedBytes(copied === 'all' ? chain : topOf(chain)),
    descriptor: keeps ? top.descriptorPath : undefined,
    uuid: chain.uuid,
    layers: copied === 'all' ? [{ format: 'raw', path: flatName }] : layers,
    replaced: [
      ...changes,
      basename(top.layer.path),
      ...(copied === 'all' ? [basename(top.descriptorPath), ...top.extentPaths.map((path) => basename(path))] : []),
    ],
  };
}

function topOf({ links: [top], ...chain }: DiskChain): DiskChain {
  return { ...chain, links: [top] };
}

interface Mirror {
  readonly datastore: Datastore;
  /** Absolute path of the machine's folder there. */
  readonly directory: string;
  readonly machine: MachineRecord;
  readonly disk: LiveDisk;
  readonly signal: AbortSignal;
}

/** Makes the files of a disk that have no bytes of it yet, and those that name it. */
export async function makeMirror(core: HostCore, { datastore, directory, machine, disk, signal }: Mirror) {
  const { fileName, copied, capacityBytes, allocation, descriptor, uuid } = disk;
  const { configuration } = machine;
  const [top, below] = placed(disk, directory);
  if (copied === 'top') {
    if (top === undefined || below === undefined) throw new Error(`${fileName} lies on nothing`);
    const backing = { ...below, relativePath: relative(dirname(top.path), below.path) };
    await core.hypervisor.images.createDelta({ path: top.path, virtualBytes: capacityBytes, backing });
    return;
  }
  const path = joinPath(relative(datastore.directory, directory), fileName);
  await createMachineDisk({
    root: datastore,
    path,
    capacityBytes,
    allocation,
    adapter: adapterOf(configuration, disk.key),
    hardwareVersion: configuration.hardwareVersion,
    uuid,
    signal,
  });
  if (descriptor !== undefined) await writeWhole(join(directory, fileName), await readFile(descriptor));
}

/** What the engine is asked for. */
export function moveOf(disk: LiveDisk, directory: string): DiskMove {
  const { id, from, copied, allocation } = disk;
  const layers = placed(disk, directory);
  return { jobId: `move-${id}`, diskId: id, from, layers, copied, room: allocation === 'thin' ? 'sparse' : 'kept' };
}

function placed({ layers }: LiveDisk, directory: string): BlockLayer[] {
  return layers.map((layer) => ({ ...layer, path: join(directory, layer.path) }));
}
