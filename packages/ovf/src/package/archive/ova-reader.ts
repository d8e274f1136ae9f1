import { EncryptedFiles } from '../../encryption/encrypted-files.ts';
import type { Envelope } from '../../envelope/envelope.ts';
import { readEnvelope } from '../../envelope/envelope-reader.ts';
import { OvfError, type OvfWarning } from '../../errors.ts';
import { joinedContents } from '../content/joined-contents.ts';
import { DigestLedger, FileDigest } from '../digests/file-digests.ts';
import { type Manifest, parseManifest } from '../digests/manifest.ts';
import { FileSet } from '../file-set.ts';
import { defaultMaxLength, type PackageOptions, tarLimitsOf } from '../package-options.ts';
import { orderWarnings } from '../package-order.ts';
import { certificateNameOf, manifestNameOf } from '../stored-files.ts';
import type { OvaContent, OvaFile } from './ova-file.ts';
import { StreamSource } from './stream-source.ts';
import { type TarEntry, tarEntries } from './tar-entries.ts';

/** An OVA that is being read from a stream. */
export interface OvaStream {
  readonly descriptorName: string;
  readonly descriptor: Uint8Array;
  readonly envelope: Envelope;
  /** Known from the start when it comes before the files, else after the last file. */
  readonly manifest: Manifest | undefined;
  readonly manifestBytes: Uint8Array | undefined;
  readonly certificateBytes: Uint8Array | undefined;
  readonly warnings: readonly OvfWarning[];
  /**
   * The files in their order, once; each is to be read before the next is asked for. The end says that all of it was checked:
   * References, sizes, manifest.
   */
  files(): AsyncGenerator<OvaFile>;
  /**
   * {@link OvaStream.files} that References has, as what they hold: chunks joined, decompressed. Throws `encrypted` for one
   * that is. What is not read is passed over.
   */
  contents(): AsyncGenerator<OvaContent>;
  /** Gives up; ends the source. */
  close(): Promise<void>;
}

/** Reads the head of an OVA (DSP0243 5.3) in constant memory: the descriptor and what of manifest and certificate follows it. */
export async function readOva(source: AsyncIterable<Uint8Array>, options: PackageOptions = {}): Promise<OvaStream> {
  const reader = new OvaReader(source, options);
  try {
    await reader.readHead();
  } catch (error) {
    await reader.close();
    throw error;
  }
  return reader;
}

class OvaReader implements OvaStream {
  readonly #source: StreamSource;
  readonly #options: PackageOptions;
  readonly #entries: AsyncGenerator<TarEntry>;
  readonly #ledger = new DigestLedger();
  readonly #ignored: OvfWarning[] = [];
  readonly #names: string[] = [];
  #files: FileSet | undefined;
  #next: TarEntry | undefined;
  #started = false;
  #order: readonly OvfWarning[] = [];
  descriptorName = '';
  descriptor: Uint8Array = new Uint8Array(0);
  #envelope: Envelope | undefined;
  #encryption!: EncryptedFiles;
  manifest: Manifest | undefined;
  manifestBytes: Uint8Array | undefined;
  certificateBytes: Uint8Array | undefined;

  constructor(source: AsyncIterable<Uint8Array>, options: PackageOptions) {
    this.#source = new StreamSource(source);
    this.#options = options;
    const onIgnored = (warning: OvfWarning) => void this.#ignored.push(warning);
    this.#entries = tarEntries(this.#source, { ...tarLimitsOf(options), onIgnored });
  }

  get envelope(): Envelope {
    return this.#envelope!;
  }

  get warnings(): readonly OvfWarning[] {
    return [...this.envelope.warnings, ...this.#ignored, ...this.#order, ...(this.#files?.warnings ?? [])];
  }

  async readHead(): Promise<void> {
    const first = await this.#advance();
    if (first === undefined) throw new OvfError('archive-invalid', 'the archive is empty');
    if (!/\.ovf$/i.test(first.name)) {
      throw new OvfError('archive-invalid', 'the first file of an OVA must be the descriptor', { file: first.name });
    }
    this.descriptorName = first.name;
    this.descriptor = await this.#whole(first, this.#options.maxDescriptorLength ?? defaultMaxLength);
    const digest = new FileDigest();
    digest.update(this.descriptor);
    this.#ledger.add(first.name, digest.finish());
    const { passphrase } = this.#options;
    this.#envelope = await readEnvelope(this.descriptor, { fileName: first.name, passphrase });
    this.#encryption = new EncryptedFiles(this.#envelope, passphrase, first.name);
    await this.#encryption.check();
    this.#files = new FileSet(this.#envelope, this.#options.rules === 'lax', this.descriptorName);
    this.#files.refuseUnsafe();
    for (this.#next = await this.#advance(); this.#next !== undefined; this.#next = await this.#advance()) {
      if (!(await this.#readSignature(this.#next))) break;
    }
  }

  async *files(): AsyncGenerator<OvaFile> {
    if (this.#started) throw new OvfError('archive-invalid', 'the files of a stream can be read only once');
    this.#started = true;
    try {
      for (let entry = this.#next; entry !== undefined; entry = await this.#advance()) {
        if (await this.#readSignature(entry)) continue;
        if (/\.ovf$/i.test(entry.name) && this.#files!.referenceOf(entry.name) === undefined) {
          throw new OvfError('archive-invalid', 'the archive has a second descriptor', { file: entry.name });
        }
        const reference = this.#files!.add(entry.name, entry.size);
        const content = this.#content(entry);
        yield { ...entry, content, ...(reference === undefined ? {} : { reference }) };
        for await (const _ of { [Symbol.asyncIterator]: () => content });
      }
      this.#files!.finish();
      this.#ledger.finish();
      this.#order = orderWarnings(this.#names, this.descriptorName, this.envelope);
      const [first] = this.#order;
      if (this.#options.rules === 'strict' && first !== undefined) {
        throw new OvfError('archive-invalid', first.detail, first.location);
      }
    } finally {
      await this.close();
    }
  }

  contents(): AsyncGenerator<OvaContent> {
    return joinedContents(this.files(), this.envelope, this.#encryption);
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  async #advance(): Promise<TarEntry | undefined> {
    const { done, value } = await this.#entries.next();
    if (done) return undefined;
    this.#names.push(value.name);
    return value;
  }

  /** The bytes of a file, digested; an iterator whose `return` does nothing, so that the rest can still be passed over. */
  #content(entry: TarEntry): AsyncIterableIterator<Uint8Array> {
    const bytes = this.#digested(entry);
    const iterator: AsyncIterableIterator<Uint8Array> = {
      next: () => bytes.next(),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  async *#digested(entry: TarEntry): AsyncGenerator<Uint8Array> {
    const digest = this.#ledger.start(entry.name);
    let read = 0;
    for await (const part of this.#source.stream(entry.offset, entry.size)) {
      digest.update(part);
      read += part.length;
      yield part;
    }
    if (read < entry.size) {
      throw new OvfError('archive-truncated', `the archive ends ${entry.size - read} bytes early`, {
        file: entry.name,
      });
    }
    this.#ledger.add(entry.name, digest.finish());
  }

  async #whole(entry: TarEntry, maxLength: number): Promise<Uint8Array> {
    if (entry.size > maxLength) {
      throw new OvfError('archive-limit', `the file has more than ${maxLength} bytes`, { file: entry.name });
    }
    const bytes = await this.#source.read(entry.offset, entry.size);
    if (bytes.length < entry.size) {
      throw new OvfError('archive-truncated', 'the archive ends within the file', { file: entry.name });
    }
    return bytes;
  }

  /** Reads the manifest or the certificate, if the entry is one. */
  async #readSignature(entry: TarEntry): Promise<boolean> {
    const maxLength = this.#options.maxManifestLength ?? defaultMaxLength;
    if (entry.name === manifestNameOf(this.descriptorName)) {
      this.manifestBytes = await this.#whole(entry, maxLength);
      if (this.#options.manifest === 'ignore') return true;
      this.manifest = parseManifest(this.manifestBytes, entry.name);
      this.#ledger.setManifest(this.manifest);
      return true;
    }
    if (entry.name === certificateNameOf(this.descriptorName)) {
      this.certificateBytes = await this.#whole(entry, maxLength);
      return true;
    }
    return false;
  }
}
