import { dirname, join } from 'node:path';
import { OvfError } from '../../errors.ts';
import type { ManifestSigner } from '../../signature/sign-manifest.ts';
import { digestFiles } from '../digests/digest-pool.ts';
import { type DigestAlgorithm, formatManifest } from '../digests/manifest.ts';
import type { OvfPackage } from '../ovf-package.ts';
import { isExternal } from '../package-name.ts';
import { certificateNameOf, manifestNameOf } from '../stored-files.ts';
import { writeWholeFile } from './whole-file.ts';

export interface SignFolderOptions {
  readonly signer: ManifestSigner;
  /** Algorithm of the manifest; SHA256. */
  readonly digest?: DigestAlgorithm;
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Signs a package that is a folder where it lies: a new manifest of its files and the certificate beside the descriptor, in
 * place of what was there. Throws `file-unreadable`, `target-unwritable`.
 */
export async function signFolder(
  source: OvfPackage,
  descriptorPath: string,
  { signer, digest = 'SHA256', ...options }: SignFolderOptions,
): Promise<void> {
  const { descriptorName, envelope } = source;
  const names = [
    descriptorName,
    ...envelope.files.flatMap((file) => (isExternal(file.href) ? [] : source.storedNames(file))),
  ];
  const requests = [];
  for (const name of names) requests.push({ name, size: (await source.source.size(name)) ?? null, algorithm: digest });
  const digests = await digestFiles(source.source, requests, options);
  const entries = names.map((name) => {
    const result = digests.get(name);
    if (result === undefined || 'problem' in result) {
      throw new OvfError('file-unreadable', result?.problem ?? 'it was not read', { file: name });
    }
    return { algorithm: digest, file: name, digest: result.digest };
  });
  const manifest = Buffer.from(formatManifest({ entries }), 'utf8');
  const manifestName = manifestNameOf(descriptorName);
  const beside = (name: string) => join(dirname(descriptorPath), name);
  const write = (name: string, bytes: Uint8Array) =>
    writeWholeFile(beside(name), { overwrite: true }, (file) => file.writeFile(bytes));
  await write(manifestName, manifest);
  await write(certificateNameOf(descriptorName), signer.sign(manifest, manifestName));
}
