import { execFile } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { DebianFiles } from './debian-files.ts';

const run = promisify(execFile);
const sectorBytes = 512;
/** The partition begins at 1 MiB, as partitioning tools align it. */
const partitionStart = 2048;

export interface BootDiskOptions {
  /** Where to write. */
  readonly path: string;
  readonly capacityBytes: number;
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
  /** For the files that go onto the disk. */
  readonly scratch: string;
}

/** Writes a raw disk that a BIOS boots: one FAT partition with syslinux, a kernel and its initrd. */
export async function writeBootDisk(debian: DebianFiles, options: BootDiskOptions): Promise<void> {
  const { path, capacityBytes, scratch } = options;
  const sectors = capacityBytes / sectorBytes - partitionStart;
  const mbr = await readFile(await debian.path('syslinux-common', 'usr/lib/syslinux/mbr/mbr.bin'));
  const disk = await open(path, 'w');
  try {
    await disk.truncate(capacityBytes);
    await disk.write(bootRecord(mbr, sectors), 0);
  } finally {
    await disk.close();
  }
  const tools = dirname(await debian.path('mtools', 'usr/bin/mtools'));
  const syslinux = await debian.path('syslinux', 'usr/bin/syslinux');
  const env = {
    ...process.env,
    PATH: `${tools}:${process.env.PATH ?? ''}`,
    MTOOLS_SKIP_CHECK: '1',
  };
  const partition = `${path}@@${partitionStart * sectorBytes}`;
  await run(
    join(tools, 'mformat'),
    [
      '-i',
      partition,
      '-F',
      '-T',
      String(sectors),
      '-h',
      '255',
      '-s',
      '63',
      '-H',
      String(partitionStart),
      '-N',
      '48594f53',
      '-v',
      'APPLIANCE',
      '::',
    ],
    { env },
  );
  await run(syslinux, ['--install', '--offset', String(partitionStart * sectorBytes), path], { env });
  const configuration = `DEFAULT appliance\nPROMPT 0\nLABEL appliance\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND ${options.commandLine}\n`;
  const files: readonly (readonly [string, string | Uint8Array])[] = [
    ['syslinux.cfg', configuration],
    ['vmlinuz', options.kernel],
    ['initrd', options.initrd],
  ];
  for (const [name, data] of files) {
    await writeFile(join(scratch, name), data);
    await run(join(tools, 'mcopy'), ['-i', partition, join(scratch, name), `::${name}`], { env });
  }
}

/** A master boot record with one active FAT32 partition. */
function bootRecord(code: Uint8Array, sectors: number): Buffer {
  const record = Buffer.alloc(sectorBytes);
  record.set(code.subarray(0, 440));
  record.write('HYPO', 440, 'latin1');
  const entry = 446;
  record[entry] = 0x80;
  // Cylinder, head and sector are given up: what boots here reads by logical address.
  record.set([0xfe, 0xff, 0xff], entry + 1);
  record[entry + 4] = 0x0c;
  record.set([0xfe, 0xff, 0xff], entry + 5);
  record.writeUInt32LE(partitionStart, entry + 8);
  record.writeUInt32LE(sectors, entry + 12);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}
