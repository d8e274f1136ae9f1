import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type DiskChain, readDiskChain } from '@hypostyle/services';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { HostError } from '../../errors.ts';
import { maximumVmxBytes, VmxFile } from '../../vmx/vmx-file.ts';
import type { DiskFacts } from '../record/machine-record.ts';

/** Reads a `.vmx`; what is larger than one can be is refused unread. */
export async function readVmx(datastore: Datastore, vmxPath: string): Promise<VmxFile> {
  // What a folder brings may be a link or a pipe: neither is followed, nor waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(datastore.absolute(vmxPath), flags);
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw new HostError('vmx-invalid', `${datastore.format(vmxPath)} is no file`);
    if (facts.size > maximumVmxBytes) {
      throw new HostError('vmx-invalid', `${datastore.format(vmxPath)} has ${facts.size} bytes`);
    }
    return VmxFile.parse(await handle.readFile(), datastore.format(vmxPath));
  } finally {
    await handle.close();
  }
}

/** Writes a `.vmx` durably and whole: a crash leaves the old file or the new one. */
export async function writeVmx(datastore: Datastore, vmxPath: string, vmx: VmxFile): Promise<void> {
  const path = datastore.absolute(vmxPath);
  const temporary = join(dirname(path), `.hypo-${basename(path)}.partial`);
  const handle = await open(temporary, 'w', 0o644);
  try {
    await handle.writeFile(vmx.toString());
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What the descriptors of a machine's disks say. A disk that cannot be read has its reason in `problem`. */
export async function readDisks(
  datastore: Datastore,
  vmxPath: string,
  configuration: MachineConfiguration,
): Promise<Map<number, DiskFacts>> {
  const read = configuration.disks.map(
    async ({ key, fileName }) => [key, await readDisk(datastore, vmxPath, fileName)] as const,
  );
  return new Map(await Promise.all(read));
}

export async function readDisk(datastore: Datastore, vmxPath: string, fileName: string): Promise<DiskFacts> {
  try {
    const chain = await readDiskChain(diskPath(datastore, vmxPath, fileName), {
      allowOutside: (path) => datastore.holds(path),
    });
    return factsOfChain(datastore, chain);
  } catch (error) {
    const problem = datastore.shown(error instanceof Error ? error.message : String(error));
    return {
      capacityBytes: 0,
      thin: true,
      uuid: undefined,
      contentId: '',
      settling: false,
      chain: [],
      kinds: [],
      contentIds: [],
      problem,
    };
  }
}

export function factsOfChain(datastore: Datastore, chain: DiskChain): DiskFacts {
  const relative = (path: string) => datastore.pathOf(path);
  const contentIds = chain.links.map(({ descriptor }) => descriptor.contentId.toString(16).padStart(8, '0'));
  return {
    capacityBytes: chain.capacityBytes,
    thin: chain.thin,
    uuid: chain.uuid,
    contentId: contentIds[0] ?? '',
    settling: chain.links.some(({ kind }) => kind === 'settling'),
    chain: chain.links.map(({ descriptorPath, extentPaths, changesPath }) =>
      [descriptorPath, ...extentPaths, ...(changesPath === undefined ? [] : [changesPath])].map(relative),
    ),
    kinds: chain.links.map(({ kind }) => kind),
    contentIds,
    problem: undefined,
  };
}

/** Absolute path of a disk that a `.vmx` names; `disk-invalid` when it is on no datastore of ours. */
export function diskPath(datastore: Datastore, vmxPath: string, fileName: string): string {
  const path = datastore.relative(vmxPath, fileName);
  if (path === undefined) {
    throw new HostError('disk-invalid', `${fileName} is not on the datastore ${datastore.name}`);
  }
  return datastore.absolute(path);
}

const types: readonly [RegExp, string][] = [
  [/-\d+\.png$/i, 'screenshot'],
  [/\.vmx$/i, 'config'],
  [/\.vmxf$/i, 'extendedConfig'],
  [/\.nvram$/i, 'nvram'],
  // As that of other makers, which keep a TPM in it.
  [/\.tpm$/i, 'nvram'],
  [/\.log$/i, 'log'],
  [/\.vmsd$/i, 'snapshotList'],
  [/\.vmsn$/i, 'snapshotData'],
  [/\.vmem$/i, 'snapshotMemory'],
  [/\.vmss$/i, 'suspend'],
  [/-(flat|delta|ctk|[sf]\d{3})\.(vmdk|qcow2)$/i, 'diskExtent'],
  [/\.vmdk$/i, 'diskDescriptor'],
];

/** Kind of a machine's file by its name, as `layoutEx` has it; undefined for what is no part of a machine. */
export function fileType(name: string): string | undefined {
  return types.find(([pattern]) => pattern.test(name))?.[1];
}
