import type { Home } from '../home/home.ts';
import { type KeyAndCertificate, makeClientCertificate } from './certificate.ts';
import { loadOrMake } from './kept-certificate.ts';

/**
 * By what this server shows other servers who it is. They know exactly this certificate, so that it is kept for as long
 * as it can be read, past its end, too.
 */
export function loadClientMaterial(home: Home, name: string): Promise<KeyAndCertificate> {
  return loadOrMake(
    home,
    'client',
    () => true,
    () => makeClientCertificate(name),
  );
}
