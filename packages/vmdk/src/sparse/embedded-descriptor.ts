import { type Descriptor, maximumDescriptorBytes, parseDescriptor } from '../descriptor/descriptor.ts';
import { decodeDescriptor, encodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import type { SparseHeader } from './sparse-header.ts';

/** Descriptor inside a sparse extent; undefined where there is none. */
export async function embeddedDescriptor(file: FileWindow, header: SparseHeader): Promise<Descriptor | undefined> {
  if (header.descriptorOffset === 0 || header.descriptorSectors === 0) return undefined;
  const bytes = header.descriptorSectors * sectorBytes;
  if (bytes > maximumDescriptorBytes) {
    throw new VmdkError('descriptor-too-large', { file: file.path, reason: `${bytes} bytes` });
  }
  const text = await file.read(header.descriptorOffset * sectorBytes, bytes);
  // Room that was left in an extent of a split disk.
  if (text[0] === 0) return undefined;
  return parseDescriptor(decodeDescriptor(text, file.path), { file: file.path });
}

/** Replaces the descriptor inside a sparse extent, durably; `too-large` when it does not fit its room. */
export async function writeEmbeddedDescriptor(
  file: FileWindow,
  header: SparseHeader,
  descriptor: Descriptor,
): Promise<void> {
  const room = descriptorRoom(descriptor, header, file.path);
  await file.write(room, header.descriptorOffset * sectorBytes);
  await file.sync();
}

/** Bytes of a descriptor, padded to the room that a sparse file has for it; `too-large` when it does not fit. */
export function descriptorRoom(descriptor: Descriptor, header: SparseHeader, file: string): Buffer {
  const room = Buffer.alloc(header.descriptorSectors * sectorBytes);
  const bytes = encodeDescriptor(descriptor, file);
  if (bytes.length > room.length) {
    throw new VmdkError('too-large', { file, reason: `descriptor of ${bytes.length} bytes` });
  }
  bytes.copy(room);
  return room;
}
