import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { Home } from '../home/home.ts';
import { readIfThere, writePrivateFile } from '../home/private-file.ts';
import type { KeyAndCertificate } from './certificate.ts';

/** A key with its certificate out of the home's files of that name, where they still serve; made there otherwise. */
export async function loadOrMake(
  home: Home,
  name: string,
  serves: (certificate: X509Certificate) => boolean,
  make: () => Promise<KeyAndCertificate>,
): Promise<KeyAndCertificate> {
  const keyFile = join(home.tlsDirectory, `${name}.key`);
  const certificateFile = join(home.tlsDirectory, `${name}.crt`);
  const [key, certificate] = await Promise.all([readIfThere(keyFile), readIfThere(certificateFile)]);
  if (key !== undefined && certificate !== undefined && stillServes(key, certificate, serves)) {
    return { key, certificate };
  }
  const made = await make();
  await writePrivateFile(keyFile, made.key);
  await writePrivateFile(certificateFile, made.certificate, 0o644);
  return made;
}

/** False also for files that cannot be read as what they should be, such as a key without its certificate. */
function stillServes(key: string, certificate: string, serves: (certificate: X509Certificate) => boolean): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    return parsed.checkPrivateKey(createPrivateKey(key)) && serves(parsed);
  } catch {
    return false;
  }
}
