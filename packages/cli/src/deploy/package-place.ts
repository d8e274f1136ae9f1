import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Envelope, isEncrypted } from '@hypostyle/ovf';
import { data, type HttpNfcLeaseSourceFile } from '@hypostyle/vim';

/** Where a server may find a file of a package by itself: what a pull of a lease names. */
export type PackagePlace = (href: string) => Omit<HttpNfcLeaseSourceFile, 'targetDeviceId'> | undefined;

/** Members of an archive on this computer, for a server that runs on it too: it knows the file by its tag. */
export async function localArchive(path: string, envelope: Envelope): Promise<PackagePlace> {
  const { ino, size, mtimeNs } = await stat(path, { bigint: true });
  const url = pathToFileURL(resolve(path)).href;
  const tag = data('KeyValue', { key: 'If-Match', value: `"${ino}-${size}-${mtimeNs}"` });
  return whole(envelope, { url, httpHeaders: [tag] });
}

/** Members of an archive on a datastore of the server. */
export function datastoreArchive(url: string, envelope: Envelope): PackagePlace {
  return whole(envelope, { url });
}

/** What is compressed as a whole, or in pieces, is nothing that a disk could be run from. */
function whole(envelope: Envelope, archive: Pick<HttpNfcLeaseSourceFile, 'url' | 'httpHeaders'>): PackagePlace {
  return (href) => {
    const reference = envelope.files.find((known) => known.href === href);
    if (reference !== undefined && isEncrypted(envelope, reference)) return undefined;
    if (reference === undefined || reference.compression === 'gzip' || reference.chunkSize !== undefined)
      return undefined;
    return { _typeName: 'HttpNfcLeaseSourceFile', ...archive, memberName: href, create: false };
  };
}
