import { sectorBytes } from '../size.ts';

export const adapterTypes = ['ide', 'buslogic', 'lsilogic', 'legacyESX'] as const;
export type AdapterType = (typeof adapterTypes)[number];

/** Cylinders, heads and sectors a track, as a BIOS sees the disk. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

const gibibyte = 2 ** 30;

/**
 * Geometry that ESXi writes for a new disk. IDE: 16 heads, 63 sectors, at most 16383 cylinders (ATA).
 * SCSI: 64 × 32 up to 1 GiB, 128 × 32 up to 2 GiB, 255 × 63 above.
 */
export function geometryOf(virtualBytes: number, adapterType: AdapterType): Geometry {
  const [heads, sectors] = shapeOf(virtualBytes, adapterType);
  const cylinders = Math.max(1, Math.floor(virtualBytes / sectorBytes / (heads * sectors)));
  return { cylinders: adapterType === 'ide' ? Math.min(cylinders, 16383) : cylinders, heads, sectors };
}

function shapeOf(virtualBytes: number, adapterType: AdapterType): readonly [heads: number, sectors: number] {
  if (adapterType === 'ide') return [16, 63];
  if (virtualBytes <= gibibyte) return [64, 32];
  if (virtualBytes <= 2 * gibibyte) return [128, 32];
  return [255, 63];
}
