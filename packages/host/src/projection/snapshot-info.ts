import { joinPath, splitPath } from '@hypostyle/services';
import {
  data,
  type VirtualMachineFileLayoutExSnapshotLayout,
  type VirtualMachineSnapshotInfo,
  type VirtualMachineSnapshotTree,
} from '@hypostyle/vim';
import type { DiskFacts, MachineRecord } from '../machine/record/machine-record.ts';
import { childrenOf, type SnapshotEntry } from '../machine/snapshot/snapshot-list.ts';
import { snapshotReference } from '../machine/snapshot/snapshot-reference.ts';

/** `VirtualMachine.snapshot`: unset for a machine without snapshots. */
export function snapshotInfo(machine: MachineRecord): VirtualMachineSnapshotInfo | undefined {
  const { entries, current } = machine.snapshots;
  if (entries.length === 0) return undefined;
  return data('VirtualMachineSnapshotInfo', {
    ...(current === undefined ? {} : { currentSnapshot: snapshotReference(machine.id, current) }),
    rootSnapshotList: trees(machine, undefined),
  });
}

function trees(machine: MachineRecord, parent: number | undefined): VirtualMachineSnapshotTree[] {
  return childrenOf(machine.snapshots.entries, parent).map((entry) => {
    const childSnapshotList = trees(machine, entry.uid);
    return data('VirtualMachineSnapshotTree', {
      snapshot: snapshotReference(machine.id, entry.uid),
      vm: machine.ref,
      name: entry.name,
      description: entry.description,
      id: entry.uid,
      createTime: entry.created,
      state: entry.state,
      quiesced: entry.quiesced,
      replaySupported: false,
      ...(childSnapshotList.length === 0 ? {} : { childSnapshotList }),
    });
  });
}

/** `VirtualMachine.rootSnapshot`. */
export function rootSnapshots({ id, snapshots }: MachineRecord) {
  return childrenOf(snapshots.entries, undefined).map(({ uid }) => snapshotReference(id, uid));
}

/** `layoutEx.disk` and that of a snapshot; `keys` are of files by path. */
export function diskLayouts(disks: ReadonlyMap<number, DiskFacts>, keys: ReadonlyMap<string, number>) {
  return [...disks].map(([key, facts]) =>
    data('VirtualMachineFileLayoutExDiskLayout', {
      key,
      // The model has the base first.
      chain: facts.chain.toReversed().map((files) =>
        data('VirtualMachineFileLayoutExDiskUnit', {
          fileKey: files.flatMap((path) => {
            const fileKey = keys.get(path);
            return fileKey === undefined ? [] : [fileKey];
          }),
        }),
      ),
    }),
  );
}

/** `layoutEx.snapshot`. */
export function snapshotLayouts(
  machine: MachineRecord,
  keys: ReadonlyMap<string, number>,
): VirtualMachineFileLayoutExSnapshotLayout[] {
  const keyOf = (name: string) => keys.get(joinPath(splitPath(machine.vmxPath).folder, name)) ?? -1;
  return machine.snapshots.entries.map((entry) =>
    data('VirtualMachineFileLayoutExSnapshotLayout', {
      key: snapshotReference(machine.id, entry.uid),
      dataKey: keyOf(entry.fileName),
      memoryKey: entry.memoryFile === undefined ? -1 : keyOf(entry.memoryFile),
      disk: diskLayouts(machine.snapshots.views.get(entry.uid)?.disks ?? new Map(), keys),
    }),
  );
}

/** `layout.snapshot`, the older form: the files that a snapshot has beside its disks. */
export function oldSnapshotLayouts({ id, snapshots }: MachineRecord) {
  const filesOf = ({ fileName, memoryFile }: SnapshotEntry) => [fileName, ...(memoryFile ? [memoryFile] : [])];
  return snapshots.entries.map((entry) =>
    data('VirtualMachineFileLayoutSnapshotLayout', {
      key: snapshotReference(id, entry.uid),
      snapshotFile: filesOf(entry),
    }),
  );
}
