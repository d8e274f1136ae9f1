import { createHash, type Hash } from 'node:crypto';

export type ChecksumType = 'sha1' | 'sha256' | 'sha512';

export function isChecksumType(text: string): text is ChecksumType {
  return text === 'sha1' || text === 'sha256' || text === 'sha512';
}

/** Size and digests of a transfer: always SHA-1, which HttpNfcLeaseManifestEntry demands, and the chosen one. */
export class TransferDigest {
  readonly #sha1 = createHash('sha1');
  readonly #type: ChecksumType;
  readonly #chosen: Hash | undefined;
  #size = 0;

  constructor(type: ChecksumType) {
    this.#type = type;
    this.#chosen = type === 'sha1' ? undefined : createHash(type);
  }

  update(piece: Uint8Array): void {
    this.#size += piece.byteLength;
    this.#sha1.update(piece);
    this.#chosen?.update(piece);
  }

  result(): { sha1: string; checksum: string; checksumType: ChecksumType; size: number } {
    const sha1 = this.#sha1.digest('hex');
    return { sha1, checksum: this.#chosen?.digest('hex') ?? sha1, checksumType: this.#type, size: this.#size };
  }
}
