import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bootableDisk } from '@hypostyle/contracts/testing';

const run = promisify(execFile);

export interface GuestFolderOptions {
  readonly directory: string;
  readonly name: string;
  /** Has the guest agent. Default false. */
  readonly agent?: boolean;
  /** Kind of the VMDK as `qemu-img` names it. Default `monolithicFlat`. */
  readonly subformat?: 'monolithicFlat' | 'monolithicSparse';
  /** Further lines of the `.vmx`. */
  readonly lines?: readonly string[];
}

/** Writes a folder as VMware does: a `.vmx` and a disk with the test guest, which says `READY <uuid>` on its serial port. */
export async function writeGuestFolder(options: GuestFolderOptions): Promise<void> {
  const { directory, name, agent = false, subformat = 'monolithicFlat', lines = [] } = options;
  await mkdir(directory, { recursive: true });
  const image = await bootableDisk({ agent });
  const disk = join(directory, `${name}.vmdk`);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', '-o', `subformat=${subformat}`, image, disk]);
  await writeFile(join(directory, `${name}.vmx`), guestVmx({ name, disk: `${name}.vmdk`, lines }));
}

/** A `.vmx` as VMware Workstation writes it. */
export function guestVmx(options: {
  readonly name: string;
  readonly disk: string;
  readonly lines?: readonly string[];
}): string {
  return [
    '.encoding = "UTF-8"',
    'config.version = "8"',
    'virtualHW.version = "14"',
    `displayName = "${options.name}"`,
    'guestOS = "debian10-64"',
    'numvcpus = "1"',
    'memsize = "192"',
    'scsi0.present = "TRUE"',
    'scsi0.virtualDev = "pvscsi"',
    'scsi0:0.present = "TRUE"',
    `scsi0:0.fileName = "${options.disk}"`,
    'ethernet0.present = "TRUE"',
    'ethernet0.virtualDev = "e1000"',
    'ethernet0.networkName = "VM Network"',
    'ethernet0.addressType = "generated"',
    'serial0.present = "TRUE"',
    'serial0.fileType = "file"',
    'serial0.fileName = "serial0.log"',
    ...(options.lines ?? []),
    '',
  ].join('\n');
}
