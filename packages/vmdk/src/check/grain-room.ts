import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';
import { RoomMap } from './room-map.ts';

/** Room of larger files is kept by grains: what is not aligned to them counts as taken. */
const plainRoomBytes = 2 ** 37;

/** Room of the file that grains have: for certain, or by what one of two copies says that differ. */
export class GrainRoom {
  readonly #certain = new RoomMap();
  readonly #disputed = new RoomMap();
  readonly #grainBytes: number;
  readonly #unit: number;

  constructor(file: FileWindow, header: SparseHeader) {
    this.#grainBytes = header.grainSectors * sectorBytes;
    this.#unit = file.bytes > plainRoomBytes ? this.#grainBytes : sectorBytes;
  }

  take(sector: number): void {
    if (sector > 1) this.#certain.take(...this.#units(sector));
  }

  dispute(sector: number): void {
    if (sector > 1) this.#disputed.take(...this.#units(sector));
  }

  /** Whether no grain has it for certain. */
  isFree(sector: number): boolean {
    return sector <= 1 || this.#certain.isFree(...this.#units(sector));
  }

  isDisputed(sector: number): boolean {
    return sector > 1 && !this.#disputed.isFree(...this.#units(sector));
  }

  #units(sector: number): [start: number, count: number] {
    const start = sector * sectorBytes;
    const first = Math.floor(start / this.#unit);
    return [first, Math.ceil((start + this.#grainBytes) / this.#unit) - first];
  }
}
