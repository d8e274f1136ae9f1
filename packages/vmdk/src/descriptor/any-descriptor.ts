import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { parseSparseHeader } from '../sparse/sparse-header.ts';
import { type Descriptor, maximumDescriptorBytes, parseDescriptor } from './descriptor.ts';
import { decodeDescriptor } from './descriptor-encoding.ts';

/** Most descriptors are read whole with the first look at them, in bytes. */
const usualDescriptorBytes = 4096;

/** A descriptor that is a file of its own, or the one inside a hosted sparse file. */
export async function readAnyDescriptor(
  path: string,
): Promise<{ readonly descriptor: Descriptor; readonly isEmbedded: boolean }> {
  const file = await FileWindow.open(path, { missing: 'descriptor-missing' });
  try {
    const head = await file.read(0, Math.min(file.bytes, usualDescriptorBytes));
    if (head.toString('latin1', 0, 4) !== 'KDMV') {
      if (file.bytes > maximumDescriptorBytes)
        throw new VmdkError('descriptor-too-large', { file: path, reason: `${file.bytes} bytes` });
      const text = file.bytes === head.length ? head : await file.read(0, file.bytes);
      return { descriptor: parseDescriptor(decodeDescriptor(text, path), { file: path }), isEmbedded: false };
    }
    const header = parseSparseHeader(head.subarray(0, sectorBytes), path);
    const length = header.descriptorSectors * sectorBytes;
    if (header.descriptorOffset === 0 || length === 0 || length > maximumDescriptorBytes) {
      throw new VmdkError('descriptor-invalid', { file: path, reason: 'the sparse file has no descriptor of its own' });
    }
    const text = await file.read(header.descriptorOffset * sectorBytes, length);
    return { descriptor: parseDescriptor(decodeDescriptor(text, path), { file: path }), isEmbedded: true };
  } finally {
    await file.close();
  }
}
