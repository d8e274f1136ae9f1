import { createCipheriv, createDecipheriv, type DecipherGCM, randomBytes } from 'node:crypto';
import { OvfError } from '../errors.ts';
import { type ContentCipher, gcmTagBytes, maxGcmBytes } from './algorithms.ts';

const blockBytes = 16;
/** Bytes that are worked on at a time: well under a millisecond each. */
const sliceBytes = 512 * 1024;

/** A cipher with its key. */
export interface ContentKey {
  readonly cipher: ContentCipher;
  readonly key: Uint8Array;
  /** The passphrase was found right before: what cannot be decrypted is damaged. */
  readonly proven: boolean;
}

/**
 * Encrypts a stream as XML Encryption has it (5.2): initialization vector, content; CBC with its padding, GCM with its tag.
 * Throws `encryption-failed` for more than GCM can take.
 */
export async function* encrypted(
  content: AsyncIterable<Uint8Array>,
  { cipher, key }: Pick<ContentKey, 'cipher' | 'key'>,
): AsyncGenerator<Uint8Array> {
  const iv = randomBytes(cipher.ivBytes);
  yield iv;
  let length = 0;
  const within = (bytes: number) => {
    length += bytes;
    if (cipher.mode !== 'gcm' || length <= maxGcmBytes) return;
    throw new OvfError(
      'encryption-failed',
      `${cipher.name} takes at most ${maxGcmBytes} bytes of a file; use a cipher of CBC`,
    );
  };
  if (cipher.mode === 'gcm') {
    const encrypting = createCipheriv(cipher.nodeName as 'aes-256-gcm', key, iv);
    for await (const part of slices(content)) {
      within(part.length);
      yield encrypting.update(part);
    }
    yield encrypting.final();
    yield encrypting.getAuthTag();
    return;
  }
  // The padding of PKCS #7 is one of those that XML Encryption allows.
  const encrypting = createCipheriv(cipher.nodeName, key, iv);
  for await (const part of slices(content)) {
    const done = encrypting.update(part);
    if (done.length > 0) yield done;
  }
  yield encrypting.final();
}

/**
 * Undoes {@link encrypted}, in constant memory. Throws `passphrase-wrong` for content that the key does not fit, at the end;
 * `archive-invalid` where the key is proven and the content is damaged. GCM's content is authentic only once it has ended.
 */
export async function* decrypted(
  content: AsyncIterable<Uint8Array>,
  { cipher, key, proven }: ContentKey,
  file: string,
): AsyncGenerator<Uint8Array> {
  const damaged = (cause?: unknown) =>
    proven
      ? new OvfError('archive-invalid', 'the encrypted content is damaged', { file }, { cause })
      : new OvfError(
          'passphrase-wrong',
          'the passphrase is not that of this file, or the file is damaged',
          { file },
          { cause },
        );
  const tail = cipher.mode === 'gcm' ? gcmTagBytes : blockBytes;
  let waiting: Buffer = Buffer.alloc(0);
  let decrypting: ReturnType<typeof createDecipheriv> | undefined;
  let length = 0;
  for await (const part of slices(content)) {
    waiting =
      waiting.length === 0 ? Buffer.from(part.buffer, part.byteOffset, part.length) : Buffer.concat([waiting, part]);
    if (decrypting === undefined) {
      if (waiting.length < cipher.ivBytes) continue;
      decrypting = createDecipheriv(cipher.nodeName as 'aes-256-cbc', key, waiting.subarray(0, cipher.ivBytes));
      decrypting.setAutoPadding(false);
      waiting = waiting.subarray(cipher.ivBytes);
    }
    // The last block has the padding, the last bytes of GCM are its tag.
    if (waiting.length <= tail) continue;
    const ready = waiting.length - tail;
    length += ready;
    const done = decrypting.update(waiting.subarray(0, ready));
    waiting = Buffer.from(waiting.subarray(ready));
    if (done.length > 0) yield done;
  }
  if (decrypting === undefined || waiting.length < tail)
    throw new OvfError('archive-invalid', 'the encrypted content is too short to be any', { file });
  if (cipher.mode === 'gcm') {
    try {
      (decrypting as unknown as DecipherGCM).setAuthTag(waiting);
      const last = decrypting.final();
      if (last.length > 0) yield last;
    } catch (error) {
      throw damaged(error);
    }
    return;
  }
  if ((length + waiting.length) % blockBytes !== 0)
    throw new OvfError('archive-invalid', 'the encrypted content does not end with a block', { file });
  const last = Buffer.concat([decrypting.update(waiting), decrypting.final()]);
  // Of the padding only its last byte says something (5.2.1): how long it is.
  const padding = last.at(-1) ?? 0;
  if (padding < 1 || padding > blockBytes || padding > last.length) throw damaged();
  if (last.length > padding) yield last.subarray(0, last.length - padding);
}

async function* slices(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const part of content)
    for (let at = 0; at < part.length; at += sliceBytes) yield part.subarray(at, at + sliceBytes);
}
