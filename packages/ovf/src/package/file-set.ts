import type { Envelope, FileReference } from '../envelope/envelope.ts';
import { OvfError, type OvfWarning } from '../errors.ts';
import { chunkName, isExternal, parseChunkName, storedNamesFor } from './package-name.ts';

/** The files that an envelope references, against those that a package holds. */
export class FileSet {
  readonly #byName = new Map<string, FileReference>();
  readonly #held = new Map<string, number | null>();
  /** The files of the package that the envelope names, without those elsewhere. */
  readonly references: readonly FileReference[];
  readonly #allowUnreferenced: boolean;
  readonly warnings: OvfWarning[] = [];

  /** References that lead out of the package (`name-unsafe`); no file belongs to them. */
  readonly unsafe: readonly OvfError[];

  constructor(envelope: Envelope, allowUnreferenced: boolean, descriptorName: string) {
    const references: FileReference[] = [];
    const unsafe: OvfError[] = [];
    this.#allowUnreferenced = allowUnreferenced;
    for (const file of envelope.files.filter(({ href }) => !isExternal(href))) {
      const location = { file: descriptorName, line: file.line, section: 'References' };
      try {
        for (const name of storedNamesFor(file.href, location)) this.#byName.set(name, file);
        references.push(file);
      } catch (error) {
        if (!(error instanceof OvfError)) throw error;
        unsafe.push(error);
      }
    }
    this.references = references;
    this.unsafe = unsafe;
  }

  /** Throws `name-unsafe` for the first reference that leads out of the package. */
  refuseUnsafe(): void {
    const [first] = this.unsafe;
    if (first !== undefined) throw first;
  }

  /** The reference that a stored file belongs to; its chunks count. */
  referenceOf(name: string): FileReference | undefined {
    const whole = this.#byName.get(name);
    if (whole !== undefined && whole.chunkSize === undefined) return whole;
    const chunk = parseChunkName(name);
    const chunked = chunk && this.#byName.get(chunk.name);
    return chunked?.chunkSize === undefined ? undefined : chunked;
  }

  /** Takes a file that the package holds; a size of `null` is not known. Throws `file-unreferenced`, `size-mismatch`. */
  add(name: string, size: number | null): FileReference | undefined {
    const reference = this.referenceOf(name);
    this.#held.set(name, size);
    if (reference === undefined) {
      if (!this.#allowUnreferenced) {
        throw new OvfError('file-unreferenced', 'the file is not in References', { file: name });
      }
      this.warnings.push({ detail: 'the file is not in References', location: { file: name } });
    } else if (
      reference.chunkSize === undefined &&
      reference.size !== undefined &&
      size !== null &&
      reference.size !== size
    ) {
      const detail = `the file has ${size} bytes, References says ${reference.size}`;
      throw new OvfError('size-mismatch', detail, { file: name, line: reference.line, section: 'References' });
    }
    return reference;
  }

  /** Stored names of a referenced file, in order; one unless it is chunked. Throws `file-missing`. */
  storedNames(reference: FileReference): string[] {
    for (const name of storedNamesFor(reference.href)) {
      const stored: string[] = [];
      if (reference.chunkSize === undefined) {
        if (this.#held.has(name)) return [name];
      } else {
        while (this.#held.has(chunkName(name, stored.length))) stored.push(chunkName(name, stored.length));
        if (stored.length > 0) return stored;
      }
    }
    throw new OvfError('file-missing', 'the file is in References but not in the package', {
      file: reference.href,
      line: reference.line,
      section: 'References',
    });
  }

  /** Throws `file-missing` for a reference without its file, `size-mismatch` for chunks of the wrong sizes. */
  finish(): void {
    for (const reference of this.references) this.checkChunks(reference);
  }

  /** Throws `file-missing`, and `size-mismatch` for a chunked file whose chunks are not of the sizes that they should be. */
  checkChunks(reference: FileReference): void {
    const stored = this.storedNames(reference);
    if (reference.chunkSize === undefined) return;
    const held = stored.map((name) => this.#held.get(name) ?? null);
    const sizes = held.filter((size) => size !== null);
    if (sizes.length < held.length) return;
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const whole = sizes.slice(0, -1).every((size) => size === reference.chunkSize);
    if (!whole || sizes.at(-1)! > reference.chunkSize || (reference.size !== undefined && reference.size !== total)) {
      const detail = `the ${sizes.length} chunks with ${total} bytes are not what References says`;
      throw new OvfError('size-mismatch', detail, {
        file: reference.href,
        line: reference.line,
        section: 'References',
      });
    }
  }
}
