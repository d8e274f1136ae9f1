import type { DiskRange } from './disk.ts';
import type { ChainLayer } from './layer.ts';

/** Who decides about a stretch of a chain. */
export interface Place {
  /** Index of the layer, 0 the top; undefined where no layer says anything: zeros. */
  readonly layer: number | undefined;
  readonly length: number;
  readonly state: DiskRange['state'];
}

interface KnownRun {
  readonly end: number;
  readonly state: 'data' | 'zero' | 'absent';
}

/**
 * Walks forward through a chain. A layer is asked again only where its last answer ends, so that the cost is the number
 * of runs in all layers and not their product: a long run is located once, however finely the others are cut.
 */
export class ChainCursor {
  readonly #layers: readonly ChainLayer[];
  readonly #end: number;
  readonly #known: (KnownRun | undefined)[];

  /** `end`: first byte after the stretch that is of interest. */
  constructor(layers: readonly ChainLayer[], end: number) {
    this.#layers = layers;
    this.#end = end;
    this.#known = layers.map(() => undefined);
  }

  /** Place at `offset`, which is never before one asked for earlier. */
  async locate(offset: number): Promise<Place> {
    let end = this.#end;
    for (const [index, layer] of this.#layers.entries()) {
      // A disk may be larger than its parent; the rest of it has no parent.
      if (offset >= layer.bytes) break;
      let known = this.#known[index];
      if (known === undefined || known.end <= offset) {
        const run = await layer.locate(offset, Math.min(this.#end, layer.bytes) - offset);
        known = { end: offset + run.length, state: run.state };
        this.#known[index] = known;
      }
      end = Math.min(end, known.end);
      if (known.state !== 'absent') return { layer: index, length: end - offset, state: known.state };
    }
    return { layer: undefined, length: end - offset, state: 'unallocated' };
  }
}
