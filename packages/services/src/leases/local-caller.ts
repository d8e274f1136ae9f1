import { isIP } from 'node:net';
import type { Call } from '@hypostyle/vim';
import { faults } from '../errors.ts';

/** Throws NotSupported for a caller on another computer: the files that it means are not those that are here. */
export function requireLocalCaller({ clientAddress }: Pick<Call, 'clientAddress'>): void {
  const address = clientAddress.replace(/^::ffff:/i, '');
  if (address === '' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))) return;
  throw faults.notSupported('Files of the host can be named by clients that run on it only.');
}
