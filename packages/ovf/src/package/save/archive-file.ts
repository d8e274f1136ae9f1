import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { bytesInput, entryOf, type OvaInput } from '../archive/ova-writer.ts';
import { tarBlock } from '../archive/tar-header.ts';
import { formatManifest, type ManifestEntry } from '../digests/manifest.ts';
import { certificateNameOf, manifestNameOf } from '../stored-files.ts';
import type { PackagePlan } from './package-plan.ts';

/**
 * Writes a planned package into an open file in one pass: the place of manifest and certificate, right behind the
 * descriptor, is left free and filled at the end, for their lengths are known before their content.
 */
export async function writeArchiveFile(
  file: FileHandle,
  plan: PackagePlan,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { descriptorName, digest, kept, signer } = plan;
  const manifestName = manifestNameOf(descriptorName);
  const certificateName = certificateNameOf(descriptorName);
  const entries: ManifestEntry[] = [];
  let end = 0;
  const put = async (input: OvaInput, digested: boolean): Promise<number> => {
    let contentAt = 0;
    const hash = digested && digest !== false && kept === undefined ? createHash(digest.toLowerCase()) : undefined;
    for await (const part of entryOf(input, hash)) {
      signal?.throwIfAborted();
      await writeFully(file, part, end);
      end += part.length;
      // The header comes first.
      contentAt ||= end;
      if (digested) onBytes(part.length);
    }
    if (hash !== undefined && digest !== false) {
      entries.push({ algorithm: digest, file: input.name, digest: hash.digest('hex') });
    }
    return contentAt;
  };
  const bytes = (name: string, content: Uint8Array) => put(bytesInput(name, content), false);

  await put(bytesInput(descriptorName, plan.descriptor), true);
  const fresh = digest !== false && kept === undefined;
  let manifestAt = 0;
  let certificateAt = 0;
  let manifestLength = 0;
  if (kept !== undefined) {
    await bytes(manifestName, kept.manifest);
    if (kept.certificate !== undefined) await bytes(certificateName, kept.certificate);
  } else if (fresh) {
    const names = [descriptorName, ...plan.files.map(({ name }) => name)];
    const none = '0'.repeat(createHash(digest.toLowerCase()).digest().length * 2);
    const placeholder = names.map((name) => ({ algorithm: digest, file: name, digest: none }));
    const blank = Buffer.from(formatManifest({ entries: placeholder }), 'utf8');
    manifestLength = blank.length;
    manifestAt = await bytes(manifestName, blank);
    if (signer !== undefined) {
      certificateAt = await bytes(certificateName, Buffer.alloc(signer.maxLength(manifestName), '\n'));
    }
  }
  for (const input of plan.files) await put(input, true);
  await writeFully(file, Buffer.alloc(2 * tarBlock), end);
  if (!fresh) return;
  const manifest = Buffer.from(formatManifest({ entries }), 'utf8');
  if (manifest.length !== manifestLength) throw new RangeError('the manifest is not as long as its place');
  await writeFully(file, manifest, manifestAt);
  if (signer === undefined) return;
  // An ECDSA signature may be shorter than its place: empty lines are left behind it.
  await writeFully(file, signer.sign(manifest, manifestName), certificateAt);
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
