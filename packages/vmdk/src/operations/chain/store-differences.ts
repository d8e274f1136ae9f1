import { ChainCursor, type Place } from '../../disk/chain-cursor.ts';
import type { ChainLayer } from '../../disk/layer.ts';
import { LayeredDisk } from '../../disk/layered-disk.ts';
import type { OpenedLayer } from '../../disk/open-disk.ts';
import { roundUp } from '../../size.ts';
import type { OperationOptions } from '../operation-options.ts';

/** Bytes compared at once, at most. */
const pieceBytes = 2 ** 20;

export interface Parents {
  readonly path: string;
  /** Disk that is to keep its content, opened for writing, without its parents. */
  readonly child: ChainLayer;
  /** Its parents now and then, the nearest first. */
  readonly before: readonly OpenedLayer[];
  readonly after: readonly OpenedLayer[];
}

/**
 * Stores in a disk every block that it takes from its parents now and would find different in others. What both read
 * from the same file is not read; no write changes what the disk shows.
 */
export async function storeDifferences(parents: Parents, options: OperationOptions): Promise<void> {
  const { child } = parents;
  const views = {
    before: viewOf(parents.before, child.bytes),
    after: viewOf(parents.after, child.bytes),
  };
  const totalBytes = child.bytes;
  for (let at = 0; at < totalBytes; ) {
    options.signal?.throwIfAborted();
    const { length, state } = await child.locate(at, totalBytes - at);
    if (state === 'absent') await storeStretch(parents, views, at, at + length, options);
    at += length;
    options.onProgress?.({ doneBytes: at, totalBytes });
  }
}

/** What a chain of parents shows to a disk of some size, which may be longer. */
interface View {
  readonly layers: readonly ChainLayer[];
  cursor(offset: number): ChainCursor;
  read(buffer: Uint8Array, offset: number): Promise<void>;
}

function viewOf(opened: readonly OpenedLayer[], bytes: number): View {
  const layers = opened.map(({ layer }) => layer);
  const [first, ...rest] = layers;
  const disk = first && new LayeredDisk({ path: first.path, layers: [first, ...rest], writable: false });
  return {
    layers,
    cursor: () => new ChainCursor(layers, bytes),
    read: async (buffer, offset) => {
      const there = Math.max(0, Math.min(buffer.length, (disk?.virtualBytes ?? 0) - offset));
      if (disk && there > 0) await disk.readInto(buffer.subarray(0, there), offset);
      buffer.fill(0, there);
    },
  };
}

async function storeStretch(
  parents: Parents,
  views: { readonly before: View; readonly after: View },
  start: number,
  end: number,
  options: OperationOptions,
): Promise<void> {
  const { child, before, after } = parents;
  const unit = child.blockBytesAt(start);
  const cursors = [views.before.cursor(start), views.after.cursor(start)] as const;
  for (let at = start; at < end; ) {
    options.signal?.throwIfAborted();
    const [now, then] = [await cursors[0].locate(at), await cursors[1].locate(at)];
    const length = Math.min(now.length, then.length, end - at);
    if (sameBytes(now, before, then, after)) {
      at += length;
      continue;
    }
    // Whole blocks: the stretch begins at the border of one and ends at another, or with its extent.
    const first = at - ((at - start) % unit);
    const reach = Math.min(at + length, first + Math.max(unit, pieceBytes)) - start;
    const last = Math.min(end, start + roundUp(reach, unit));
    await storeBlocks(child, views, first, last);
    at = last;
    options.onProgress?.({ doneBytes: at, totalBytes: child.bytes });
  }
}

/** Whether two places are known to hold the same without looking. */
function sameBytes(now: Place, before: readonly OpenedLayer[], then: Place, after: readonly OpenedLayer[]): boolean {
  if (now.state !== 'data' && then.state !== 'data') return true;
  if (now.state !== then.state || now.layer === undefined || then.layer === undefined) return false;
  return before[now.layer]?.identity === after[then.layer]?.identity;
}

async function storeBlocks(
  child: ChainLayer,
  views: { readonly before: View; readonly after: View },
  start: number,
  end: number,
): Promise<void> {
  const now = Buffer.allocUnsafe(end - start);
  const then = Buffer.allocUnsafe(end - start);
  await views.before.read(now, start);
  await views.after.read(then, start);
  const below = views.after.layers.length > 0 ? views.after.read : undefined;
  const unit = child.blockBytesAt(start);
  for (let done = 0; done < now.length; done += unit) {
    const block = now.subarray(done, done + unit);
    if (!block.equals(then.subarray(done, done + unit))) await child.write(block, start + done, below);
  }
}
