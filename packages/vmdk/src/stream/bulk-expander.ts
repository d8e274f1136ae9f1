import type { PackedGrain } from '../codec/grain-job.ts';
import { type GrainSlot, GrainWorkers } from '../codec/grain-workers.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { maximumCompressedBytes } from '../sparse/grain-codec.ts';
import type { GrainPlaces } from '../sparse/grain-tables.ts';
import { grainMarkerBytes } from './markers.ts';

/** The workers of an extent that nobody reads in bulk end after this many milliseconds. */
const idleMilliseconds = 1000;

/** Reads whole grains of a compressed extent that lie beside each other in its file, on every processor. */
export class BulkExpander {
  readonly #file: FileWindow;
  readonly #tables: GrainPlaces;
  readonly #bytes: number;
  #workers: GrainWorkers | undefined;
  #underway = 0;
  #idle: NodeJS.Timeout | undefined;

  /** `bytes`: capacity of the extent. */
  constructor(file: FileWindow, tables: GrainPlaces, bytes: number) {
    this.#file = file;
    this.#tables = tables;
    this.#bytes = bytes;
  }

  /**
   * Fills the buffer with the grains from `first` on. False when it left that to a reader of single grains: they do not
   * lie together, or one of them is not right.
   */
  async read(buffer: Uint8Array, first: number): Promise<boolean> {
    this.#underway += 1;
    clearTimeout(this.#idle);
    this.#workers ??= new GrainWorkers({ grainBytes: this.#tables.grainBytes });
    try {
      const sectors: number[] = [];
      for (let done = 0; done < buffer.length; done += this.#tables.grainBytes) {
        sectors.push(await this.#tables.entry(first + sectors.length));
      }
      return await this.#expand(this.#workers, buffer, first, sectors);
    } finally {
      this.#underway -= 1;
      if (this.#underway === 0) this.#idle = setTimeout(() => void this.close(), idleMilliseconds).unref();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const workers = this.#workers;
    this.#workers = undefined;
    await workers?.close();
  }

  async #expand(
    workers: GrainWorkers,
    buffer: Uint8Array,
    first: number,
    sectors: readonly number[],
  ): Promise<boolean> {
    const { grainBytes } = this.#tables;
    const last = first + sectors.length - 1;
    const start = Math.min(...sectors);
    const lastSector = Math.max(...sectors);
    const next = lastSector === sectors.at(-1) ? await this.#tables.following(last, lastSector) : undefined;
    const guess = next === undefined ? maximumCompressedBytes(grainBytes) : (next - lastSector) * sectorBytes;
    const bytes = Math.min((lastSector - start) * sectorBytes + guess, this.#file.bytes - start * sectorBytes);
    if (bytes > workers.areaBytes || sectors.length * grainBytes > workers.batchBytes) return false;
    const slot = await workers.acquire();
    try {
      await this.#file.readInto(slot.input.subarray(0, bytes), start * sectorBytes);
      const packed = this.#packed(slot, bytes, first, sectors, start);
      if (!packed) return false;
      const { outcomes } = await slot.inflate(packed);
      if (outcomes.some((outcome) => outcome !== 'data' && outcome !== 'zero')) return false;
      buffer.set(slot.output.subarray(0, buffer.length));
      return true;
    } finally {
      slot.release();
    }
  }

  /** Where the compressed bytes are; undefined when a marker is not the one that the tables promise. */
  #packed(
    slot: GrainSlot,
    bytes: number,
    first: number,
    sectors: readonly number[],
    start: number,
  ): PackedGrain[] | undefined {
    const { grainBytes, header } = this.#tables;
    const view = new DataView(slot.input.buffer, slot.input.byteOffset, bytes);
    const packed: PackedGrain[] = [];
    for (const [index, sector] of sectors.entries()) {
      const marker = (sector - start) * sectorBytes;
      if (marker + grainMarkerBytes > bytes) return undefined;
      const length = view.getUint32(marker + 8, true);
      const at = marker + grainMarkerBytes;
      const lba = view.getBigUint64(marker, true);
      if (lba !== BigInt((first + index) * header.grainSectors) || length === 0 || at + length > bytes)
        return undefined;
      const wanted = Math.min(grainBytes, this.#bytes - (first + index) * grainBytes);
      packed.push({ at, bytes: length, to: index * grainBytes, wanted });
    }
    return packed;
  }
}
