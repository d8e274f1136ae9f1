import { inflateSync } from 'node:zlib';
import { VmdkError } from '../errors.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { maximumCompressedBytes } from '../sparse/grain-codec.ts';
import { grainMarkerBytes, markerTypes } from '../stream/markers.ts';
import { FlatTarget } from './flat-target.ts';
import { readSettleRecord, removeSettleRecord, type SettlePosition, writeSettleRecord } from './settle-record.ts';
import { StreamFile, type StreamPlace } from './stream-file.ts';

/** Bytes of the source read at once. */
const readBytes = 4 * 2 ** 20;
/** Bytes of the disk after which what was written is made durable: little is lost, and a guest's own syncs are short. */
const checkpointBytes = 32 * 2 ** 20;

/** Where the bytes go. */
export interface SettleTarget {
  readonly targetPath: string;
  readonly virtualBytes: number;
  /** Zeros are written where the disk has none of its own. */
  readonly fill: boolean;
  readonly recordPath: string;
  /** Changes when the source is another; a record about another is passed over. */
  readonly about: string;
}

export interface SettleGrainsOptions extends SettleTarget {
  readonly source: StreamPlace;
}

/**
 * Inflates a streamOptimized disk into a flat file, grain after grain as they lie in the file, each checked against its
 * own sum and against the tables that a reader in the meantime goes by. Every call of `step` does a little.
 */
export class SettleGrains {
  readonly #options: SettleTarget | undefined;
  readonly #file: StreamFile;
  readonly #target: FlatTarget | undefined;
  readonly #promised: number;
  #position: SettlePosition;
  #window: { readonly start: number; readonly data: Buffer } = { start: 0, data: Buffer.alloc(0) };
  #durableDisk: number;
  #ended = false;

  /** Without a target, grains are checked and nothing is written. */
  constructor(source: StreamPlace, options?: SettleTarget) {
    this.#options = options;
    this.#file = StreamFile.open(source);
    try {
      const { front } = this.#file;
      this.#promised = this.#file.countGrains();
      this.#position = { source: front.overheadSectors * sectorBytes, disk: 0, grains: 0 };
      this.#durableDisk = 0;
      if (options === undefined) return;
      const capacity = front.capacity * sectorBytes;
      if (capacity > options.virtualBytes) {
        const reason = `${capacity} bytes, ${options.virtualBytes} expected`;
        throw new VmdkError('capacity-exceeded', { file: this.#file.name, reason });
      }
      const begun = FlatTarget.isBegun(options.targetPath, options.virtualBytes);
      const record = begun ? readSettleRecord(options.recordPath, options.about) : undefined;
      // An older record must not be believed of the file that is made now, should this run be killed before its first.
      if (record === undefined) removeSettleRecord(options.recordPath);
      else this.#position = record;
      this.#durableDisk = this.#position.disk;
      const { targetPath: path, virtualBytes, fill } = options;
      this.#target = new FlatTarget({ path, virtualBytes, fill, from: this.#position.disk });
    } catch (error) {
      this.#file.close();
      throw error;
    }
  }

  get position(): SettlePosition {
    return this.#position;
  }

  /** Passes one record of the stream; the bytes of the disk that it stood for. Undefined: it was the last. */
  step(): number | undefined {
    if (this.#ended) return undefined;
    const before = this.#position.disk;
    if (!this.#next()) {
      this.#finish();
      return undefined;
    }
    if (this.#position.disk - this.#durableDisk >= checkpointBytes) this.checkpoint();
    return this.#position.disk - before;
  }

  /** Makes what there is durable, and then the record of it. */
  checkpoint(): void {
    if (this.#target !== undefined && this.#options !== undefined) {
      this.#target.sync();
      writeSettleRecord(this.#options.recordPath, this.#options.about, this.#position);
    }
    this.#durableDisk = this.#position.disk;
  }

  close(): void {
    this.#target?.close();
    this.#file.close();
  }

  /** False at the end of the stream. */
  #next(): boolean {
    const { source: at } = this.#position;
    const { bytes, front } = this.#file;
    // What `qemu-img convert` writes has its tables in front, and no end marker.
    if (at === bytes && front.directoryOffset !== 'at-end') return false;
    const marker = this.#take(at, grainMarkerBytes + 4);
    const size = marker.readUInt32LE(8);
    if (size > 0) {
      this.#grain(marker.readBigUInt64LE(0), size);
      return true;
    }
    const type = marker.readUInt32LE(grainMarkerBytes);
    if (type === markerTypes.endOfStream) return false;
    if (type !== markerTypes.grainTable && type !== markerTypes.grainDirectory && type !== markerTypes.footer) {
      throw this.#invalid('marker-invalid', `marker type ${type}`);
    }
    const sectors = marker.readBigUInt64LE(0);
    if (sectors > BigInt(Math.floor((bytes - at) / sectorBytes))) {
      throw this.#invalid('marker-invalid', `marker over ${sectors} sectors`);
    }
    this.#position = { ...this.#position, source: at + (1 + Number(sectors)) * sectorBytes };
    return true;
  }

  #grain(lba: bigint, size: number): void {
    const { source: at, grains } = this.#position;
    const { grainSectors, capacity } = this.#file.front;
    const grainBytes = grainSectors * sectorBytes;
    if (lba >= BigInt(capacity)) throw this.#invalid('marker-invalid', `grain at sector ${lba} of ${capacity}`);
    const offset = Number(lba) * sectorBytes;
    if (offset % grainBytes !== 0) throw this.#invalid('marker-invalid', `grain at sector ${lba} is not aligned`);
    if (offset < this.#position.disk) throw this.#invalid('marker-invalid', `grain at sector ${lba} comes too late`);
    if (size > maximumCompressedBytes(grainBytes)) throw this.#invalid('marker-invalid', `grain of ${size} bytes`);
    if (this.#file.grainSector(offset / grainBytes) * sectorBytes !== at) {
      throw this.#invalid('table-invalid', 'its tables do not name this grain', offset);
    }
    const record = this.#take(at, grainMarkerBytes + size);
    const wanted = Math.min(grainBytes, capacity * sectorBytes - offset);
    const data = this.#inflate(record.subarray(grainMarkerBytes), grainBytes, offset);
    if (data.length < wanted) throw this.#invalid('grain-corrupt', `expands to ${data.length} of ${wanted}`, offset);
    this.#target?.write(offset, data.subarray(0, wanted));
    const source = Math.min(at + roundUp(grainMarkerBytes + size, sectorBytes), this.#file.bytes);
    this.#position = { source, disk: offset + wanted, grains: grains + 1 };
  }

  #inflate(data: Buffer, grainBytes: number, offset: number): Buffer {
    try {
      return inflateSync(data, { chunkSize: grainBytes + 64, maxOutputLength: grainBytes });
    } catch (cause) {
      throw this.#invalid('grain-corrupt', cause instanceof Error ? cause.message : String(cause), offset, cause);
    }
  }

  #finish(): void {
    const { grains } = this.#position;
    if (grains !== this.#promised) {
      throw this.#file.invalidTable(`its tables name ${this.#promised} grains, ${grains} are there`);
    }
    this.#target?.finish();
    this.#ended = true;
  }

  #take(position: number, length: number): Buffer {
    const { start, data } = this.#window;
    const from = position - start;
    if (from >= 0 && from + length <= data.length) return data.subarray(from, from + length);
    const left = this.#file.bytes - position;
    const next = this.#file.read(position, Math.max(length, Math.min(readBytes, left)));
    this.#window = { start: position, data: next };
    return next.subarray(0, length);
  }

  #invalid(code: VmdkError['code'], reason: string, disk?: number, cause?: unknown): VmdkError {
    const block = disk === undefined ? '' : `, block of the disk at byte ${disk}`;
    const place = `byte ${this.#position.source}${block}`;
    return new VmdkError(code, { file: this.#file.name, place, reason, ...(cause === undefined ? {} : { cause }) });
  }
}
