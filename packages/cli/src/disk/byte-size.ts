import { formatBytes } from '../output/format.ts';

/** Bytes for people and to the last one: `1.5 GiB (1610612736 bytes)`. */
export function exactBytes(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${formatBytes(bytes)} (${bytes} bytes)`;
}
