import { open, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Pieces of a file with holes between them, written in few calls. */
class SparseFile {
  readonly #pieces: { readonly at: number; readonly data: Buffer }[] = [];
  #bytes = 0;

  write(data: Buffer, at: number): void {
    this.#pieces.push({ at, data });
    this.extend(at + data.length);
  }

  extend(bytes: number): void {
    this.#bytes = Math.max(this.#bytes, bytes);
  }

  async save(path: string): Promise<void> {
    const handle = await open(path, 'wx');
    try {
      for (let index = 0; index < this.#pieces.length; ) {
        const start = this.#pieces[index]!.at;
        const run: Buffer[] = [];
        let end = start;
        while (this.#pieces[index]?.at === end) {
          run.push(this.#pieces[index]!.data);
          end += this.#pieces[index]!.data.length;
          index += 1;
        }
        await handle.write(Buffer.concat(run), 0, end - start, start);
      }
      await handle.truncate(this.#bytes);
    } finally {
      await handle.close();
    }
  }
}

/** Which grains of an image a file stores, and where. Written from the documented layouts, not with this package's code. */
export interface StoredGrains {
  readonly image: Buffer;
  /** Grains that are stored; of a seSparse extent some may be marked instead. */
  readonly stored: ReadonlySet<number>;
}

export interface CowdOptions extends StoredGrains {
  /** Sectors. Default 1, as ESX writes. */
  readonly grainSectors?: number;
  /** Makes the header a child's. */
  readonly parentFileName?: string;
}

/** Writes an ESX copy-on-write extent. */
export async function writeCowdExtent(path: string, options: CowdOptions): Promise<void> {
  const { image, stored, grainSectors = 1, parentFileName } = options;
  const grainBytes = grainSectors * 512;
  const tables = Math.ceil(image.length / (grainBytes * 4096));
  const directory = Buffer.alloc(Math.ceil((tables * 4) / 512) * 512);
  let free = 4 + directory.length / 512;
  const file = new SparseFile();
  for (let index = 0; index < tables; index += 1) {
    const grains = [...stored].filter((grain) => Math.floor(grain / 4096) === index);
    if (grains.length === 0) continue;
    const table = Buffer.alloc(4096 * 4);
    const at = free;
    directory.writeUInt32LE(at, index * 4);
    free += 32;
    for (const grain of grains) {
      table.writeUInt32LE(free, (grain % 4096) * 4);
      writeGrain(file, image, grain, grainBytes, free * 512);
      free += grainSectors;
    }
    file.write(table, at * 512);
  }
  file.write(directory, 4 * 512);
  const header = Buffer.alloc(2048);
  header.write('COWD', 0, 'latin1');
  for (const [index, value] of [1, 3, image.length / 512, grainSectors, 4, tables, free].entries()) {
    header.writeUInt32LE(value, 4 + index * 4);
  }
  if (parentFileName === undefined)
    for (const [index, value] of [8, 255, 63].entries()) header.writeUInt32LE(value, 32 + index * 4);
  else header.write(parentFileName, 32, 1023, 'utf8');
  file.write(header, 0);
  await file.save(path);
}

export interface SesparseOptions extends StoredGrains {
  /** Grains marked as zeros and as unmapped by the guest. */
  readonly zeroed?: ReadonlySet<number>;
  readonly unmapped?: ReadonlySet<number>;
  /** Number of the first grain in the file; over 4095 its address is rotated visibly. Default 0. */
  readonly firstGrain?: number;
  /** Journal that waits to be replayed. */
  readonly dirty?: boolean;
}

/** Writes a seSparse extent. */
export async function writeSesparseExtent(path: string, options: SesparseOptions): Promise<void> {
  const { image, stored, zeroed = new Set(), unmapped = new Set(), firstGrain = 0 } = options;
  const tables = Math.ceil(image.length / (4096 * 4096));
  const directory = { offset: 4, size: Math.max(1, Math.ceil((tables * 8) / 512)) };
  const tablePart = { offset: 64, size: tables * 64 };
  const grains = { offset: 64 + tablePart.size, size: (firstGrain + stored.size) * 8 };
  const file = new SparseFile();
  const used = new Set([...stored, ...zeroed, ...unmapped].map((grain) => Math.floor(grain / 4096)));
  let next = firstGrain;
  // Tables stand in another order than they are named in.
  for (const [number, index] of [...used].reverse().entries()) {
    const entry = Buffer.alloc(8);
    entry.writeBigUInt64LE((1n << 60n) | BigInt(number));
    file.write(entry, directory.offset * 512 + index * 8);
    const table = Buffer.alloc(32768);
    for (const grain of zeroed)
      if (Math.floor(grain / 4096) === index) table.writeBigUInt64LE(2n << 60n, (grain % 4096) * 8);
    for (const grain of unmapped)
      if (Math.floor(grain / 4096) === index) table.writeBigUInt64LE(1n << 60n, (grain % 4096) * 8);
    for (const grain of stored) {
      if (Math.floor(grain / 4096) !== index) continue;
      const address = (3n << 60n) | (BigInt(next & 0xfff) << 48n) | BigInt(next >> 12);
      table.writeBigUInt64LE(address, (grain % 4096) * 8);
      writeGrain(file, image, grain, 4096, grains.offset * 512 + next * 4096);
      next += 1;
    }
    file.write(table, tablePart.offset * 512 + number * 32768);
  }
  const header = Buffer.alloc(512);
  const front = [0xcafebabe, 0, image.length / 512, 8, 64, 0, 0, 0, 0, 0, 1, 1, 2, 1, 3, 1];
  const parts = [directory, tablePart, { offset: 0, size: 0 }, { offset: 0, size: 0 }, grains];
  const words = [...front, ...parts.flatMap(({ offset, size }) => [offset, size])];
  for (const [index, value] of words.entries()) header.writeBigUInt64LE(BigInt(value), index * 8);
  header.writeBigUInt64LE(0x200000001n, 8);
  file.write(header, 0);
  const changing = Buffer.alloc(512);
  changing.writeBigUInt64LE(0xcafecafen, 0);
  changing.writeBigUInt64LE(BigInt(used.size), 8);
  changing.writeBigUInt64LE(options.dirty ? 1n : 0n, 24);
  file.write(changing, 512);
  // Preallocated, as VMFS has it.
  file.extend((grains.offset + grains.size) * 512);
  await file.save(path);
}

function writeGrain(file: SparseFile, image: Buffer, grain: number, grainBytes: number, at: number): void {
  const data = Buffer.alloc(grainBytes);
  image.subarray(grain * grainBytes, (grain + 1) * grainBytes).copy(data);
  file.write(data, at);
}

export interface ForeignChildOptions {
  readonly path: string;
  readonly kind: 'vmfsSparse' | 'seSparse';
  /** Descriptor below, in the same folder; without one the disk reads as zeros where it stores nothing. */
  readonly parent?: string;
  readonly parentContentId?: number;
  /** What the disk reads as without the child. */
  readonly below: Buffer;
  readonly seed: number;
  /** One grain of so many is the child's own. */
  readonly density: number;
  readonly firstGrain?: number;
}

/** Makes a disk of a kind that only ESXi writes, with descriptor; answers what it reads as. */
export async function foreignChild(
  options: ForeignChildOptions,
): Promise<{ readonly image: Buffer; readonly contentId: number; readonly extent: string }> {
  const { path, kind, parent, below, seed, density, firstGrain } = options;
  const grainBytes = kind === 'seSparse' ? 4096 : 512;
  const image = parent === undefined ? Buffer.alloc(below.length) : Buffer.from(below);
  const stored = new Set<number>();
  const zeroed = new Set<number>();
  const unmapped = new Set<number>();
  let state = seed >>> 0;
  for (let grain = 0; grain * grainBytes < below.length; grain += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    // Runs of a few grains, so that some follow one another in the file.
    if ((state >>> 8) % density !== 0 && !(stored.has(grain - 1) && (state >>> 5) % 3 > 0)) continue;
    const piece = image.subarray(grain * grainBytes, (grain + 1) * grainBytes);
    const choice = kind === 'seSparse' ? (state >>> 20) % 8 : 7;
    if (choice === 0) zeroed.add(grain);
    else if (choice === 1) unmapped.add(grain);
    else stored.add(grain);
    piece.fill(choice < 2 ? 0 : (state >>> 16) % 256);
  }
  const suffix = kind === 'seSparse' ? 'sesparse' : 'delta';
  const name = `${basename(path).replace(/\.vmdk$/, '')}-${suffix}.vmdk`;
  const extent = join(dirname(path), name);
  if (kind === 'seSparse') {
    await writeSesparseExtent(extent, { image, stored, zeroed, unmapped, ...(firstGrain ? { firstGrain } : {}) });
  } else {
    await writeCowdExtent(extent, { image, stored, ...(parent ? { parentFileName: basename(parent) } : {}) });
  }
  const contentId = ((seed * 7919) % 0x7fffffff) + 1;
  const lines = [
    '# Disk DescriptorFile',
    'version=1',
    'encoding="UTF-8"',
    `CID=${contentId.toString(16).padStart(8, '0')}`,
    `parentCID=${(options.parentContentId ?? 0xffffffff).toString(16).padStart(8, '0')}`,
    `createType="${kind}"`,
    ...(parent ? [`parentFileNameHint="${basename(parent)}"`] : []),
    '# Extent description',
    `RW ${below.length / 512} ${kind === 'seSparse' ? 'SESPARSE' : 'VMFSSPARSE'} "${name}"`,
    '',
    '# The Disk Data Base ',
    '#DDB',
    '',
    'ddb.longContentID = "00000000000000000000000000000000"',
    '',
  ];
  await writeFile(path, lines.join('\n'));
  return { image, contentId, extent };
}
