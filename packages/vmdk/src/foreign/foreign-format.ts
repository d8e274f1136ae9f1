import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';

/** Formats of others that are read and written through QEMU's tools, by the names that those have. */
export const foreignFormats = ['qcow2', 'vhdx', 'vpc', 'vdi', 'qcow', 'qed', 'parallels'] as const;

export type ForeignFormat = (typeof foreignFormats)[number];

export type ImageFormat = ForeignFormat | 'vmdk' | 'raw';

const headBytes = 512;

interface Signature {
  readonly format: ImageFormat;
  readonly at: number;
  readonly bytes: Buffer;
}

const text = (format: ImageFormat, at: number, words: string): Signature => ({
  format,
  at,
  bytes: Buffer.from(words, 'latin1'),
});

/** How files begin. A fixed VHD has its signature at the end and looks like what is in it, so it is never guessed. */
const signatures: readonly Signature[] = [
  text('vmdk', 0, 'KDMV'),
  text('vmdk', 0, 'COWD'),
  text('vmdk', 0, '# Disk DescriptorFile'),
  text('vmdk', 0, '\xbe\xba\xfe\xca'),
  text('qcow2', 0, 'QFI\xfb\0\0\0\x02'),
  text('qcow2', 0, 'QFI\xfb\0\0\0\x03'),
  text('qcow', 0, 'QFI\xfb\0\0\0\x01'),
  text('vhdx', 0, 'vhdxfile'),
  text('vpc', 0, 'conectix'),
  text('vdi', 64, '\x7f\x10\xda\xbe'),
  text('qed', 0, 'QED\0'),
  text('parallels', 0, 'WithoutFreeSpace'),
  text('parallels', 0, 'WithouFreSpacExt'),
];

/** What a file is by its first bytes; undefined for one that says nothing, such as a raw image. */
export async function formatOf(path: string): Promise<ImageFormat | undefined> {
  const head = await headOf(path);
  return signatures.find(({ at, bytes }) => head.subarray(at, at + bytes.length).equals(bytes))?.format;
}

/**
 * Throws `outside-folder` where an image draws on another file: what it names is its maker's choice, and QEMU would open
 * it, whatever it is.
 */
export async function refuseReferences(path: string, format: ForeignFormat): Promise<void> {
  const head = await headOf(path);
  const names = (what: string) => {
    const reason = `it draws on a ${what}; merge that into it where it was made, or allow it`;
    return new VmdkError('outside-folder', { file: path, reason });
  };
  const at = (offset: number) => (head.length >= offset + 8 ? head.readBigUInt64BE(offset) : 0n);
  if ((format === 'qcow2' || format === 'qcow') && at(8) !== 0n) throw names('backing file');
  // Incompatible feature 2 of qcow2 version 3 (docs/interop/qcow2.txt).
  const version = head.length >= 8 ? head.readUInt32BE(4) : 0;
  if (format === 'qcow2' && version >= 3 && (at(72) & 4n) !== 0n) throw names('data file');
  // Feature 0 of QED (docs/interop/qed_spec.txt); its numbers are little endian.
  if (format === 'qed' && head.length >= 24 && (head.readUInt32LE(16) & 1) !== 0) throw names('backing file');
}

async function headOf(path: string): Promise<Buffer> {
  const file = await FileWindow.open(path);
  try {
    return await file.read(0, Math.min(headBytes, file.bytes));
  } finally {
    await file.close();
  }
}
