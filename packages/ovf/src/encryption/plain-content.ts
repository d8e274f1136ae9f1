import type { Envelope, FileReference } from '../envelope/envelope.ts';
import { OvfError } from '../errors.ts';
import { type ContentKey, decrypted } from './cipher-stream.ts';

/** How a VMDK of any kind begins: sparse, COWD, a descriptor. */
const vmdkHeads = ['KDMV', 'COWD', '# Di'].map((head) => Buffer.from(head, 'latin1'));
const gzipHead = Buffer.from([0x1f, 0x8b]);

/**
 * The stored content of an encrypted file in the clear. Under a key that nothing has proven it is refused at once
 * (`passphrase-wrong`) when it does not begin as compressed content or a VMDK does; else throws as {@link decrypted}.
 */
export async function* plainContent(
  envelope: Envelope,
  reference: FileReference,
  stored: AsyncIterable<Uint8Array>,
  key: ContentKey,
): AsyncGenerator<Uint8Array> {
  const heads = key.proven ? [] : headsOf(envelope, reference);
  const longest = Math.max(0, ...heads.map(({ length }) => length));
  let head = Buffer.alloc(0);
  let passed = heads.length === 0;
  for await (const part of decrypted(stored, key, reference.href)) {
    if (passed) {
      yield part;
      continue;
    }
    head = Buffer.concat([head, part]);
    if (head.length < longest) continue;
    passed = heads.some((one) => head.subarray(0, one.length).equals(one));
    if (!passed)
      throw new OvfError('passphrase-wrong', 'the passphrase is not that of this file', { file: reference.href });
    yield head;
  }
  if (!passed && head.length > 0) yield head;
}

function headsOf({ diskSection }: Envelope, { id, compression }: FileReference): readonly Buffer[] {
  if (compression === 'gzip') return [gzipHead];
  const disks = (diskSection?.disks ?? []).filter(({ fileId }) => fileId === id);
  return disks.some(({ format }) => /vmdk/i.test(format ?? '')) ? vmdkHeads : [];
}
