import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import type { Findings } from './findings.ts';
import { RoomMap } from './room-map.ts';

/** Largest map of a file's room, in bytes. */
const largestMap = 2 ** 28;

export interface ExtentRoomOptions {
  readonly file: FileWindow;
  readonly findings: Findings;
  /** Every grain begins at a multiple of so many bytes; the room is kept in units of it. */
  readonly unitBytes?: number;
}

/** Who has which room of an extent's file: finds what lies over one another, and what nothing refers to. */
export class ExtentRoom {
  readonly #file: FileWindow;
  readonly #findings: Findings;
  readonly #unitBytes: number;
  readonly #map: RoomMap | undefined;
  #end = 0;

  constructor(options: ExtentRoomOptions) {
    this.#file = options.file;
    this.#findings = options.findings;
    this.#unitBytes = options.unitBytes ?? sectorBytes;
    const bytes = options.file.bytes / this.#unitBytes / 8;
    if (bytes <= largestMap) this.#map = new RoomMap();
    else {
      const reason = `its grains lie at multiples of ${this.#unitBytes} bytes, too fine for its size`;
      options.findings.add('overlaps-unchecked', options.file.path, reason);
    }
  }

  /** End of what was taken so far, in bytes. */
  get end(): number {
    return this.#end;
  }

  take(position: number, bytes: number, place: string): void {
    this.#end = Math.max(this.#end, position + bytes);
    const first = Math.floor(position / this.#unitBytes);
    const last = Math.ceil((position + bytes) / this.#unitBytes);
    if (this.#map?.take(first, last - first) === false) {
      this.#findings.add('grain-overlap', this.#file.path, `byte ${position} is taken twice`, place);
    }
  }

  /** Room from `start` on that nothing took, in stretches of at least `leastBytes`. */
  async *leaked(start: number, leastBytes: number): AsyncGenerator<{ start: number; bytes: number }, void, undefined> {
    if (!this.#map) return;
    const units = Math.ceil(start / this.#unitBytes);
    for await (const free of this.#map.free(units, Math.floor(this.#file.bytes / this.#unitBytes))) {
      const bytes = (free.end - free.start) * this.#unitBytes;
      if (bytes >= leastBytes) yield { start: free.start * this.#unitBytes, bytes };
    }
  }
}
