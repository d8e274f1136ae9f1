import { type DiskChangeInfo, data, fault } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type AskedDisk, askedDisk, mustNotMerge, openChanges, stretchesOf } from './change-source.ts';

/** Most areas of one answer: whoever asks goes on where it ends. */
const mostAreas = 2_000;
/** Milliseconds after which an answer ends with what was found. */
const longestLook = 5_000;

export interface AreasQuestion {
  /** Device key. */
  readonly key: number;
  /** `SnapshotEntry.uid`; the machine as it is unless told. */
  readonly snapshot: number | undefined;
  readonly startOffset: number;
  /** An id, or `*`. */
  readonly changeId: string;
}

/**
 * `VirtualMachine.QueryChangedDiskAreas`: what changed on a disk since an id, from an offset on, as far as one answer
 * goes. Throws NotFound, InvalidArgument, FileFault and TaskInProgress.
 */
export async function queryChangedAreas(
  core: HostCore,
  machine: MachineRecord,
  { key, snapshot, startOffset, changeId }: AreasQuestion,
): Promise<DiskChangeInfo> {
  const { capacityBytes } = askedDisk(machine, key, snapshot).facts;
  if (!Number.isSafeInteger(startOffset) || startOffset < 0 || startOffset >= capacityBytes) {
    const reason = `The disk has bytes 0 to ${capacityBytes - 1}.`;
    throw fault('InvalidArgument', { invalidProperty: 'startOffset' }, reason);
  }
  // What an engine has moment by moment stands in nobody's way; all else must not be merged or written meanwhile.
  const live = () => snapshot === undefined && core.machines.engine(machine.id) !== undefined;
  const look = () => {
    const now = core.machines.get(machine.ref);
    return lookFor(core, askedDisk(now, key, snapshot), startOffset, changeId);
  };
  if (live()) return await look();
  mustNotMerge(core, machine);
  return await core.changes.gate.shared(machine.id, look);
}

async function lookFor(
  core: HostCore,
  asked: AskedDisk,
  startOffset: number,
  changeId: string,
): Promise<DiskChangeInfo> {
  const source = await openChanges(core, asked, changeId);
  try {
    const { disk, names } = source;
    const started = performance.now();
    const areas: { start: number; length: number }[] = [];
    let reach = disk.virtualBytes;
    for await (const { offset, length } of stretchesOf(disk, names, { offset: startOffset })) {
      areas.push({ start: offset, length });
      if (areas.length < mostAreas && performance.now() - started < longestLook) continue;
      reach = offset + length;
      break;
    }
    return data('DiskChangeInfo', {
      startOffset,
      length: reach - startOffset,
      ...(areas.length === 0 ? {} : { changedArea: areas.map((area) => data('DiskChangeExtent', area)) }),
    });
  } finally {
    await source.close();
  }
}
