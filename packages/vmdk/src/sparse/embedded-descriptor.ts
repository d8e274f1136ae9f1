import { type Descriptor, maximumDescriptorBytes, parseDescriptor } from '../descriptor/descriptor.ts';
import { decodeDescriptor, encodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { formatSparseHeader, parseSparseHeader, type SparseHeader } from './sparse-header.ts';

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

export interface EmbeddedChange {
  readonly descriptor: Descriptor;
  /** Header that comes into force with it; where the descriptor lies stays. Default: as it is. */
  readonly header?: SparseHeader;
}

/**
 * Replaces the descriptor inside a sparse extent, durably, and with it the header where that changes too; `too-large`
 * when it does not fit its room. A medium writes sectors whole, and in any order: what changes in more than one of them
 * is written beside the old text, and the header, which is one sector, leads to it. After a loss of power the old
 * descriptor is there or the new one. Where a maker left no room for both the new one is written over the old one.
 */
export async function replaceEmbeddedDescriptor(file: FileWindow, change: EmbeddedChange): Promise<void> {
  const now = parseSparseHeader(await file.read(0, sectorBytes), file.path);
  const room = await roomOf(file, now);
  const text = encodeDescriptor(change.descriptor, file.path);
  const needed = Math.ceil(text.length / sectorBytes);
  if (needed > room.sectors) {
    throw new VmdkError('too-large', { file: file.path, reason: `descriptor of ${text.length} bytes` });
  }
  const before = await file.read(now.descriptorOffset * sectorBytes, now.descriptorSectors * sectorBytes);
  const lead = async ({ start, sectors }: Room) => {
    const place = { descriptorOffset: start, descriptorSectors: sectors };
    // Whoever writes the disk has marked it.
    await file.write(formatSparseHeader({ ...(change.header ?? now), ...place, unclean: now.unclean }), 0);
    await file.sync();
  };
  const moved = room.start !== now.descriptorOffset;
  const changed = changedSectors(before, padded(text, now.descriptorSectors));
  const steps = changed + (change.header ? 1 : 0);
  if (steps === 0 && !moved) return;
  const aside = steps > 1 || moved ? placeAside(now, room, needed, textSectors(before)) : undefined;
  if (aside === undefined) {
    if (changed > 0) await file.write(padded(text, room.sectors), room.start * sectorBytes);
    await file.sync();
    if (change.header || moved) await lead(room);
    return;
  }
  let led = now.descriptorOffset;
  if (aside > room.start) {
    await file.write(padded(text, needed), aside * sectorBytes);
    await file.sync();
    await lead({ start: aside, sectors: needed });
    led = aside;
  }
  // A zero byte before what is led to now ends the text, so that all of the room may be led to.
  await file.write(padded(text, led - room.start), room.start * sectorBytes);
  await file.sync();
  await lead(room);
  await file.write(Buffer.alloc((room.start + room.sectors - led) * sectorBytes), led * sectorBytes);
}

/** Sectors that a descriptor may lie in. */
interface Room {
  readonly start: number;
  readonly sectors: number;
}

/** The room that its maker left, also where a change that was cut off leads to a text at its end. */
async function roomOf(file: FileWindow, header: SparseHeader): Promise<Room> {
  const { descriptorOffset: start, descriptorSectors: sectors } = header;
  if (start <= 1) return { start, sectors };
  const behindHeader = (await file.read(sectorBytes, sectorBytes)).toString('latin1');
  return behindHeader.startsWith('# Disk DescriptorFile')
    ? { start: 1, sectors: start - 1 + sectors }
    : { start, sectors };
}

/** A place for a new text where it hides neither the old one nor that which follows; a zero byte ends each. */
function placeAside(now: SparseHeader, room: Room, needed: number, old: number): number | undefined {
  const last = room.start + room.sectors - needed;
  if (last >= now.descriptorOffset + old && last > room.start + needed) return last;
  return room.start + needed < now.descriptorOffset ? room.start : undefined;
}

function textSectors(bytes: Buffer): number {
  const end = bytes.indexOf(0);
  return Math.ceil((end < 0 ? bytes.length : end) / sectorBytes);
}

function changedSectors(before: Buffer, after: Buffer): number {
  let changed = 0;
  for (let at = 0; at < Math.max(before.length, after.length); at += sectorBytes) {
    if (!before.subarray(at, at + sectorBytes).equals(after.subarray(at, at + sectorBytes))) changed += 1;
  }
  return changed;
}

function padded(text: Uint8Array, sectors: number): Buffer {
  const bytes = Buffer.alloc(Math.max(sectors, Math.ceil(text.length / sectorBytes)) * sectorBytes);
  bytes.set(text);
  return bytes;
}
