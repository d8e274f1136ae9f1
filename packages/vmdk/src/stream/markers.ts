import { sectorBytes } from '../size.ts';

/** Markers of a streamOptimized extent (Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"). */
export const markerTypes = { endOfStream: 0, grainTable: 1, grainDirectory: 2, footer: 3 } as const;

/** Marker in front of a compressed grain: LBA (8 bytes), compressed size (4 bytes). */
export const grainMarkerBytes = 12;

/** A marker's whole sector. `sectors`: how many follow it. */
export function formatMarker(type: number, sectors: number): Buffer {
  const marker = Buffer.alloc(sectorBytes);
  marker.writeBigUInt64LE(BigInt(sectors), 0);
  marker.writeUInt32LE(type, 12);
  return marker;
}

/** A grain's marker and data, padded to whole sectors. */
export function formatGrain(lba: number, compressed: Uint8Array): Buffer {
  const end = grainMarkerBytes + compressed.length;
  const record = Buffer.allocUnsafe(Math.ceil(end / sectorBytes) * sectorBytes);
  record.writeBigUInt64LE(BigInt(lba), 0);
  record.writeUInt32LE(compressed.length, 8);
  record.set(compressed, grainMarkerBytes);
  record.fill(0, end);
  return record;
}
