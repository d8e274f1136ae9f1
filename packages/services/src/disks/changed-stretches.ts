import type { ChangedRange, ChangeMap, NbdDisk, RangeOptions } from '@hypostyle/vmdk';

/** A stretch of a disk, in bytes. */
export interface ChangedStretch {
  readonly offset: number;
  readonly length: number;
}

/** Bytes of a disk that are looked at in one go. */
const windowBytes = 16 * 2 ** 30;
/** Smallest stretch that is told: what generations keep is no finer. */
const grainBytes = 65_536;

type Changes = Pick<NbdDisk, 'changes' | 'virtualBytes'>;
type Map = Pick<NbdDisk, 'map' | 'virtualBytes'>;

/**
 * What changed by any of a disk's change maps, in whole blocks of 64 KiB. In order, apart from each other; one that is
 * longer than 16 GiB comes in parts.
 */
export async function* changedStretches(
  disk: Changes,
  names: readonly string[],
  options: RangeOptions = {},
): AsyncGenerator<ChangedStretch, void, undefined> {
  yield* joined(disk.virtualBytes, options, async function* (window) {
    for (const name of names) {
      for await (const { offset, length, changed } of disk.changes(name, window)) if (changed) yield { offset, length };
    }
  });
}

/** What is stored of a disk, as `changedStretches` tells what changed. */
export async function* storedStretches(
  disk: Map,
  options: RangeOptions = {},
): AsyncGenerator<ChangedStretch, void, undefined> {
  yield* joined(disk.virtualBytes, options, async function* (window) {
    for await (const { offset, length, state } of disk.map(window)) if (state === 'data') yield { offset, length };
  });
}

async function* joined(
  virtualBytes: number,
  { offset: start = 0, length = virtualBytes - start, signal }: RangeOptions,
  stretches: (window: RangeOptions) => AsyncIterable<ChangedStretch>,
): AsyncGenerator<ChangedStretch, void, undefined> {
  const end = start + length;
  for (let at = start; at < end; ) {
    signal?.throwIfAborted();
    // Windows begin and end with a block, so that no block is told twice.
    const reach = Math.min(end, Math.floor((at + windowBytes) / grainBytes) * grainBytes);
    const first = Math.floor(at / grainBytes);
    const touched = new Uint8Array(Math.ceil(reach / grainBytes) - first);
    for await (const one of stretches({ offset: at, length: reach - at, ...(signal ? { signal } : {}) })) {
      const from = Math.floor(Math.max(one.offset, at) / grainBytes) - first;
      const to = Math.ceil(Math.min(one.offset + one.length, reach) / grainBytes) - first;
      if (to > from) touched.fill(1, from, to);
    }
    for (let from = touched.indexOf(1); from !== -1; ) {
      const next = touched.indexOf(0, from);
      const to = next === -1 ? touched.length : next;
      const offset = Math.max(at, (first + from) * grainBytes);
      yield { offset, length: Math.min(reach, (first + to) * grainBytes) - offset };
      from = touched.indexOf(1, to);
    }
    at = reach;
  }
}

/** A change map that is told as NBD clients ask for it; `stretches` are in order, within what is asked. */
export function changeMapOfStretches(
  name: string,
  virtualBytes: number,
  stretches: (options: RangeOptions) => AsyncIterable<ChangedStretch>,
): ChangeMap {
  return {
    name,
    async *changes({ offset: start = 0, length: asked = virtualBytes - start, ...options }) {
      let at = start;
      for await (const { offset, length } of stretches({ offset: start, length: asked, ...options })) {
        if (offset > at) yield { offset: at, length: offset - at, changed: false } satisfies ChangedRange;
        yield { offset, length, changed: true } satisfies ChangedRange;
        at = offset + length;
      }
      if (start + asked > at) yield { offset: at, length: start + asked - at, changed: false };
    },
  };
}
