import { createHash, type Hash } from 'node:crypto';
import { OvfError } from '../../errors.ts';
import { type DigestAlgorithm, digestAlgorithms, type Manifest, type ManifestEntry } from './manifest.ts';

/** Digests of one file in the making, by the algorithms that may be asked for. */
export class FileDigest {
  readonly #hashes: Map<DigestAlgorithm, Hash>;

  constructor(algorithms: readonly DigestAlgorithm[] = digestAlgorithms) {
    this.#hashes = new Map(algorithms.map((algorithm) => [algorithm, createHash(algorithm.toLowerCase())]));
  }

  update(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk);
  }

  finish(): ReadonlyMap<DigestAlgorithm, string> {
    return new Map([...this.#hashes].map(([algorithm, hash]) => [algorithm, hash.digest('hex')]));
  }
}

/** Digests of files seen, checked against the manifest as soon as both are known. */
export class DigestLedger {
  readonly #seen = new Map<string, ReadonlyMap<DigestAlgorithm, string>>();
  #manifest: ReadonlyMap<string, ManifestEntry> | undefined;

  /** A digest for a file: only by the manifest's algorithm when the manifest is known. */
  start(file: string): FileDigest {
    if (this.#manifest === undefined) return new FileDigest();
    const entry = this.#manifest.get(file);
    return new FileDigest(entry === undefined ? [] : [entry.algorithm]);
  }

  /** Takes a file's digests. Throws `digest-mismatch`; `manifest-invalid` for a file that the manifest leaves out. */
  add(file: string, digests: ReadonlyMap<DigestAlgorithm, string>): void {
    this.#seen.set(file, digests);
    if (this.#manifest !== undefined) this.#check(file, digests, this.#manifest);
  }

  /** Takes the manifest and checks what was seen so far. Throws as {@link add}. */
  setManifest(manifest: Manifest): void {
    this.#manifest = new Map(manifest.entries.map((entry) => [entry.file, entry]));
    for (const [file, digests] of this.#seen) this.#check(file, digests, this.#manifest);
  }

  /** Throws `file-missing` for a file in the manifest that was not seen. */
  finish(): void {
    for (const file of this.#manifest?.keys() ?? []) {
      if (!this.#seen.has(file)) {
        throw new OvfError('file-missing', `the manifest names ${file}, which is not in the package`, { file });
      }
    }
  }

  #check(file: string, digests: ReadonlyMap<DigestAlgorithm, string>, manifest: ReadonlyMap<string, ManifestEntry>) {
    const entry = manifest.get(file);
    if (entry === undefined) throw new OvfError('manifest-invalid', 'the manifest leaves out this file', { file });
    const actual = digests.get(entry.algorithm);
    if (actual !== entry.digest) {
      throw new OvfError('digest-mismatch', `${entry.algorithm} is ${actual}, the manifest says ${entry.digest}`, {
        file,
      });
    }
  }
}
