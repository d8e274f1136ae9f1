import { VmdkError } from './errors.ts';

export const sectorBytes = 512;

/** Largest capacity that is opened or made, in bytes: 64 TiB. */
export const maximumVirtualBytes = 64 * 2 ** 40;

/** Capacity as a number of sectors; refuses what is not a positive whole number of them. */
export function capacityInSectors(virtualBytes: number, file: string): number {
  if (
    !Number.isSafeInteger(virtualBytes) ||
    virtualBytes <= 0 ||
    virtualBytes % sectorBytes !== 0 ||
    virtualBytes > maximumVirtualBytes
  ) {
    const reason = `${virtualBytes} bytes is not a multiple of ${sectorBytes} from ${sectorBytes} to ${maximumVirtualBytes}`;
    throw new VmdkError('size-invalid', { file, reason });
  }
  return virtualBytes / sectorBytes;
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

const zeros = Buffer.alloc(65536);

/** Whether every byte is zero. */
export function isZero(data: Uint8Array): boolean {
  for (let at = 0; at < data.length; at += zeros.length) {
    const piece = data.subarray(at, at + zeros.length);
    if (!zeros.subarray(0, piece.length).equals(piece)) return false;
  }
  return true;
}
