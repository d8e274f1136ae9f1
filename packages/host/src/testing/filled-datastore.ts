import { randomUUID } from 'node:crypto';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MemoryPersistence } from '@hypostyle/vim';
import { uuidToVmx } from '../configuration/from-vmx.ts';
import { writeIdentity } from '../datastore/datastores.ts';
import { putCounter, readCounter } from '../inventory/inventory.ts';
import { putMachine } from '../machine/registration/registration.ts';

const diskMiB = 16;
const atOnce = 64;

/** Writes machines as folders, and into the store, without a process that does it: many at small cost. */
export async function fillDatastore(
  disk: MemoryPersistence,
  directory: string,
  count: number,
  prefix: string,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  const datastore = await writeIdentity(directory);
  const first = (await readCounter(disk)) + 1;
  const numbers = Array.from({ length: count }, (_, index) => first + index);
  for (let at = 0; at < count; at += atOnce)
    await Promise.all(numbers.slice(at, at + atOnce).map((number) => writeMachine(directory, `${prefix}${number}`)));
  await disk.transact([
    putCounter(first + count - 1),
    ...numbers.map((number) =>
      putMachine({
        id: String(number),
        datastore,
        vmxPath: `${prefix}${number}/${prefix}${number}.vmx`,
        created: new Date().toISOString(),
      }),
    ),
  ] as Parameters<MemoryPersistence['transact']>[0]);
}

async function writeMachine(directory: string, name: string): Promise<void> {
  const folder = join(directory, name);
  await mkdir(folder);
  const sectors = diskMiB * 2048;
  await Promise.all([
    writeFile(
      join(folder, `${name}.vmx`),
      [
        '.encoding = "UTF-8"',
        'config.version = "8"',
        'virtualHW.version = "19"',
        `displayName = "${name}"`,
        'guestOS = "other-64"',
        'numvcpus = "1"',
        'memSize = "64"',
        `uuid.bios = "${uuidToVmx(randomUUID())}"`,
        `vc.uuid = "${uuidToVmx(randomUUID())}"`,
        'scsi0.present = "TRUE"',
        'scsi0.virtualDev = "lsilogic"',
        'scsi0:0.present = "TRUE"',
        `scsi0:0.fileName = "${name}.vmdk"`,
        '',
      ].join('\n'),
    ),
    writeFile(
      join(folder, `${name}.vmdk`),
      [
        '# Disk DescriptorFile',
        'version=1',
        'CID=fffffffe',
        'parentCID=ffffffff',
        'createType="vmfs"',
        '',
        `RW ${sectors} VMFS "${name}-flat.vmdk"`,
        '',
        'ddb.adapterType = "lsilogic"',
        'ddb.thinProvisioned = "1"',
        '',
      ].join('\n'),
    ),
    writeFile(join(folder, `${name}-flat.vmdk`), '').then(() =>
      truncate(join(folder, `${name}-flat.vmdk`), sectors * 512),
    ),
  ]);
}
