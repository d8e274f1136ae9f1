import type { DiskAllocation } from '@hypostyle/services';
import { fault, type VirtualMachineCloneSpec, type VirtualMachineRelocateSpec } from '@hypostyle/vim';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { sharedDiskFault } from '../../configuration/shared-disk.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { mustShareWithNone } from '../record/shared-paths.ts';
import { findSnapshot } from '../snapshot/snapshot-list.ts';
import { parseSnapshotReference } from '../snapshot/snapshot-reference.ts';

/** How one disk of a clone comes to be: of its own, or as a delta over the disk of a snapshot. */
export type DiskWay =
  | { readonly kind: 'copy'; readonly allocation: DiskAllocation; readonly datastore: Datastore }
  | { readonly kind: 'link' };

/** What a machine is cloned from: itself as it is, or one of its snapshots. */
export interface CloneSource {
  readonly machine: MachineRecord;
  readonly uid: number | undefined;
  readonly configuration: MachineConfiguration;
  readonly disks: ReadonlyMap<number, DiskFacts>;
}

/** A spec that was understood. */
export interface CloneRequest {
  readonly source: CloneSource;
  readonly datastore: Datastore;
  /** By device key of the source's disks. */
  readonly ways: ReadonlyMap<number, DiskWay>;
  /** The source runs, and what is copied of it is what it writes: it is taken by a snapshot of the clone's own. */
  readonly live: boolean;
}

const moveTypes = new Set([
  'moveAllDiskBackingsAndAllowSharing',
  'moveAllDiskBackingsAndDisallowSharing',
  'moveAllDiskBackingsAndConsolidate',
  'moveChildMostDiskBacking',
  'createNewChildDiskBacking',
]);

/** Understands a spec for a machine as it is now. Throws the documented faults; InvalidArgument names the member. */
export function cloneRequest(core: HostCore, machine: MachineRecord, spec: VirtualMachineCloneSpec): CloneRequest {
  if (spec.memory) throw fault('NotSupported', {}, 'spec.memory: a clone begins switched off here.');
  if (![undefined, 'replace'].includes(spec.tpmProvisionPolicy))
    throw fault('NotSupported', {}, 'spec.tpmProvisionPolicy: a clone has a new TPM here (replace).');
  const source = sourceOf(machine, spec);
  const datastore = targetDatastore(core, machine, spec.location);
  const ways = new Map(
    source.configuration.disks.map((disk) => [
      disk.key,
      wayOf(source, diskDatastore(core, datastore, disk, spec.location), disk, spec.location),
    ]),
  );
  for (const { diskId } of spec.location.disk ?? [])
    if (!ways.has(diskId)) throw invalid('location.disk.diskId', `the machine has no disk ${diskId}`);
  const running = machine.powerState === 'poweredOn';
  const written = source.configuration.disks.filter(
    ({ mode }) => running && (source.uid === undefined || mode !== 'persistent'),
  );
  if (written.some(({ mode }) => mode !== 'persistent'))
    throw fault(
      'NotSupported',
      {},
      'The machine runs, and has independent disks, which no snapshot holds; stop it first.',
    );
  const shared =
    source.uid === undefined
      ? sharedDiskFault(source.configuration, 'its machine is cloned while it is off')
      : undefined;
  if (shared !== undefined && running) throw shared;
  if (shared !== undefined) mustShareWithNone(core, machine);
  const live = written.length > 0;
  if (live && !core.hypervisorInfo.capabilities.diskSnapshots)
    throw fault('NotSupported', {}, `${core.hypervisorInfo.product} clones no machine that runs; stop it first.`);
  return { source, datastore, ways, live };
}

export function invalid(property: string, reason: string) {
  return fault(
    'InvalidArgument',
    { invalidProperty: `spec.${property}` },
    `A specified parameter was not correct: spec.${property}: ${reason}.`,
  );
}

function sourceOf(machine: MachineRecord, { snapshot }: VirtualMachineCloneSpec): CloneSource {
  if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
  const { configuration, disks, snapshots } = machine;
  if (snapshot === undefined) {
    checkDisks(disks);
    return { machine, uid: undefined, configuration, disks };
  }
  const { machineId, uid } = parseSnapshotReference(snapshot);
  const entry = machineId === machine.id ? findSnapshot(snapshots.entries, uid) : undefined;
  const view = entry === undefined ? undefined : snapshots.views.get(uid);
  if (view === undefined) throw invalid('snapshot', 'the machine has no such snapshot');
  if (view.problem !== undefined) throw fault('InvalidSnapshotFormat', {}, view.problem);
  checkDisks(view.disks);
  return { machine, uid, configuration: view.configuration, disks: view.disks };
}

function checkDisks(disks: ReadonlyMap<number, DiskFacts>): void {
  const problem = [...disks.values()].find((disk) => disk.problem !== undefined)?.problem;
  if (problem !== undefined) throw fault('FileFault', { file: '' }, problem);
}

/** The datastore that a machine is to come to; that where it is unless told. */
export function targetDatastore(
  core: Pick<HostCore, 'datastores'>,
  machine: MachineRecord,
  location: VirtualMachineRelocateSpec,
): Datastore {
  if (location.service !== undefined) throw fault('NotSupported', {}, 'spec.location.service: only within one center.');
  if (location.cryptoSpec !== undefined) throw fault('NotSupported', {}, 'spec.location.cryptoSpec: no encryption.');
  const asked = location.datastore ?? machine.datastore.ref;
  const datastore = core.datastores.byUuid(asked.value);
  if (datastore === undefined) throw fault('InvalidDatastore', { datastore: asked }, 'The host has no such datastore.');
  return datastore;
}

/** The datastore that a disk is to come to: what its locator says, else its machine's. */
export function diskDatastore(
  core: Pick<HostCore, 'datastores'>,
  datastore: Datastore,
  { key }: Pick<Disk, 'key'>,
  location: VirtualMachineRelocateSpec,
): Datastore {
  const asked = location.disk?.find(({ diskId }) => diskId === key)?.datastore;
  const found = asked === undefined ? datastore : core.datastores.byUuid(asked.value);
  if (found === undefined) throw fault('InvalidDatastore', { datastore: asked }, 'The host has no such datastore.');
  return found;
}

function wayOf(source: CloneSource, datastore: Datastore, disk: Disk, location: VirtualMachineRelocateSpec): DiskWay {
  const locator = location.disk?.find(({ diskId }) => diskId === disk.key);
  const moveType = locator?.diskMoveType ?? location.diskMoveType;
  if (moveType !== undefined && !moveTypes.has(moveType))
    throw invalid('location.diskMoveType', `'${moveType.slice(0, 60)}' is not known`);
  if (moveType === 'moveChildMostDiskBacking' && (source.disks.get(disk.key)?.chain.length ?? 0) > 1)
    throw fault('NotSupported', {}, 'spec.location.diskMoveType: part of a chain is not copied here; link or copy it.');
  // What no snapshot holds has bytes of its own.
  if (moveType === 'createNewChildDiskBacking' && disk.mode === 'persistent') {
    if (source.uid === undefined)
      throw invalid('snapshot', 'a linked clone stands on a snapshot; name one of the machine');
    const below = source.disks.get(disk.key)?.chain.flat() ?? [];
    if (below.some((path) => source.machine.datastore.locate(path).datastore !== datastore))
      throw fault('NotSupported', {}, 'A linked clone lies on the datastore of what it is linked to.');
    return { kind: 'link' };
  }
  const allocation = allocationOf(locator?.diskBackingInfo, location, source.disks.get(disk.key));
  return { kind: 'copy', allocation, datastore };
}

/** What the spec says of a disk's room, or what the disk has. */
export function allocationOf(
  backing: object | undefined,
  { transform }: VirtualMachineRelocateSpec,
  facts: Pick<DiskFacts, 'thin'> | undefined,
): DiskAllocation {
  const { thinProvisioned, eagerlyScrub } = (backing ?? {}) as { thinProvisioned?: boolean; eagerlyScrub?: boolean };
  if (thinProvisioned === true) return 'thin';
  if (eagerlyScrub === true) return 'eager';
  if (thinProvisioned === false) return 'thick';
  if (transform === 'sparse') return 'thin';
  if (transform === 'flat') return 'thick';
  return facts?.thin === false ? 'thick' : 'thin';
}
