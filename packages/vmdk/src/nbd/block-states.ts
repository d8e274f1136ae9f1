import type { Disk, DiskRange } from '../disk/disk.ts';
import type { ExportContext } from './nbd-export.ts';
import { allocationFlags, bitmapFlags } from './protocol.ts';

/** Time after which an answer goes out with what is known, in milliseconds. */
const patience = 50;

interface BlockState {
  readonly length: number;
  readonly flags: number;
}

const allocation: Readonly<Record<DiskRange['state'], number>> = {
  data: 0,
  zero: allocationFlags.zero,
  unallocated: allocationFlags.hole | allocationFlags.zero,
};

/** What a context says from the beginning of a stretch: at least one state, at most `most`, none beyond the stretch. */
export async function blockStates(
  disk: Disk,
  { changeMap }: ExportContext,
  { offset, length }: { readonly offset: number; readonly length: number },
  most: number,
): Promise<readonly BlockState[]> {
  const ranges =
    changeMap === undefined ? allocationOf(disk, offset, length) : changesOf(changeMap.changes({ offset, length }));
  const states: { length: number; flags: number }[] = [];
  const started = performance.now();
  let covered = 0;
  for await (const { length: reach, flags } of ranges) {
    const last = states.at(-1);
    if (last?.flags === flags) last.length += reach;
    else {
      if (states.length === most || (states.length > 0 && performance.now() - started > patience)) break;
      states.push({ length: reach, flags });
    }
    covered += reach;
  }
  if (covered === 0 || covered > length) throw new Error('a map that does not cover what was asked');
  return states;
}

async function* allocationOf(disk: Disk, offset: number, length: number): AsyncGenerator<BlockState> {
  for await (const { length: reach, state } of disk.map({ offset, length })) {
    yield { length: reach, flags: allocation[state] };
  }
}

async function* changesOf(changes: AsyncIterable<{ length: number; changed: boolean }>): AsyncGenerator<BlockState> {
  for await (const { length, changed } of changes) yield { length, flags: changed ? bitmapFlags.dirty : 0 };
}
