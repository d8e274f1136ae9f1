import { VmdkError, type VmdkErrorCode } from '@hypostyle/vmdk';

/** Errors that are of the bytes themselves: trying again finds them again. */
const ofBytes: ReadonlySet<VmdkErrorCode> = new Set([
  'grain-corrupt',
  'digest-mismatch',
  'table-invalid',
  'marker-invalid',
  'header-invalid',
  'header-corrupted',
  'truncated',
  'not-vmdk',
  'capacity-exceeded',
]);

/** A disk whose source is not what it should be; the message names file, byte and block, as far as they are known. */
export class DiskDamage extends Error {
  override readonly name = 'DiskDamage';
}

/** The error as damage, where it is of the bytes. */
export function asDamage(error: unknown): unknown {
  if (!(error instanceof VmdkError) || !ofBytes.has(error.code)) return error;
  return new DiskDamage(error.message, { cause: error });
}
