import { CliError } from '../errors.ts';
import { formatBytes } from '../output/format.ts';

const factors: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A size as people write it: `40G`, `512M`, `1.5TiB`, or a number of bytes. Throws `usage`. */
export function parseByteSize(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?$/i.exec(text.trim()) ?? [];
  const bytes = Number(number) * (factors[unit.toUpperCase()] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) {
    throw new CliError('usage', `'${text}' is no size such as 40G, 512M or 1048576.`);
  }
  return bytes;
}

/** Bytes for people and to the last one: `1.5 GiB (1610612736 bytes)`. */
export function exactBytes(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${formatBytes(bytes)} (${bytes} bytes)`;
}
