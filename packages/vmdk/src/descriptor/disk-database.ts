import { randomBytes } from 'node:crypto';
import { newLongContentId } from './content-id.ts';
import { type AdapterType, geometryOf } from './geometry.ts';

export interface DiskDatabaseOptions {
  readonly virtualBytes: number;
  readonly adapterType: AdapterType;
  readonly contentId: number;
  /** Virtual hardware version, such as 21. Default 13. */
  readonly hardwareVersion?: number;
  readonly thin?: boolean;
}

/** Disk database of a new disk, keys without the `ddb.` in front, in the order in which ESXi writes them. */
export function diskDatabase(options: DiskDatabaseOptions): Record<string, string> {
  const geometry = geometryOf(options.virtualBytes, options.adapterType);
  return {
    adapterType: options.adapterType,
    'geometry.cylinders': String(geometry.cylinders),
    'geometry.heads': String(geometry.heads),
    'geometry.sectors': String(geometry.sectors),
    longContentID: newLongContentId(options.contentId),
    ...(options.thin ? { thinProvisioned: '1' } : {}),
    uuid: newDiskUuid(),
    virtualHWVersion: String(options.hardwareVersion ?? 13),
  };
}

/** A disk UUID as ESXi writes it: VMware's IEEE prefix 6000C29, the rest random. */
function newDiskUuid(): string {
  const digits = `6000C29${randomBytes(13).toString('hex').toUpperCase().slice(1)}`;
  const pairs = digits.match(/../g) ?? [];
  return `${pairs.slice(0, 8).join(' ')}-${pairs.slice(8).join(' ')}`;
}
