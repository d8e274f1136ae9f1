import type { DiskExport } from '@hypostyle/contracts';
import { HypervisorError } from '@hypostyle/contracts';
import {
  type ChangedStretch,
  chainLayers,
  changedStretches,
  changeMapOfStretches,
  type ExportedDisk,
  type LeasedDisk,
  openExportedDisk,
  storedStretches,
} from '@hypostyle/services';
import { fault, type VimFault } from '@hypostyle/vim';
import type { Disk } from '../../configuration/machine-configuration.ts';
import type { HostCore } from '../../host-core.ts';
import { freeSocketPath } from '../files/socket-path.ts';
import { diskIdOf } from '../power/hardware.ts';
import { claimOf } from '../record/claims.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { everything, generationName, parseChangeId } from './change-id.ts';
import { untrackable } from './trackable.ts';
import { generationsSince } from './tracked-disk.ts';
import { baseNameOf, chainOfDisk, findTracked, trackedLayers } from './tracked-files.ts';

/** NBD clients know the change map of a disk as `qemu:dirty-bitmap:changes`. */
const changeMapName = 'changes';

type RangeOptions = Parameters<typeof storedStretches>[1];

/** A disk that changes are asked of: as the machine has it, or as a snapshot has it. */
export interface AskedDisk {
  readonly machine: MachineRecord;
  readonly disk: Disk;
  readonly facts: DiskFacts;
  readonly snapshot: number | undefined;
}

/** A disk with the change maps that answer what was asked. */
export interface ChangeSource {
  readonly disk: ExportedDisk['disk'];
  /** Of the change maps; undefined: what is stored was asked for. */
  readonly names: readonly string[] | undefined;
  close(): Promise<void>;
}

/** The disk with a device key. Throws NotFound for a snapshot that is gone, InvalidArgument where there is no disk of that key. */
export function askedDisk(machine: MachineRecord, key: number, snapshot: number | undefined): AskedDisk {
  const view = snapshot === undefined ? machine : machine.snapshots.views.get(snapshot);
  if (view === undefined) throw fault('NotFound', {}, 'The snapshot is gone.');
  const disk = view.configuration.disks.find((one) => one.key === key);
  const facts = view.disks.get(key);
  if (disk === undefined || facts === undefined)
    throw fault('InvalidArgument', { invalidProperty: 'deviceKey' }, `The machine has no disk with key ${key}.`);
  return { machine, disk, facts, snapshot };
}

/**
 * Opens a disk with what changed since an id, or `*` for what is stored. Until it is closed, none of its layers may be
 * merged. Throws FileFault for an id that says nothing (any more), and for a disk whose changes are not told.
 */
export async function openChanges(core: HostCore, asked: AskedDisk, since: string): Promise<ChangeSource> {
  const names = await namesOf(core, asked, since);
  try {
    const exported = await exportOf(core, asked, names);
    const { disk, close } = await openExportedDisk(exported, { generations: names ?? [] });
    return { disk, names, close };
  } catch (error) {
    // The engine or its tools found that a generation is missing, or says nothing.
    if (error instanceof HypervisorError && names !== undefined)
      throw unknownOf(asked)(error.message.replace(/\.$/, ''), error);
    throw error;
  }
}

/** Generations that answer what is asked; undefined for what is stored. Throws as `openChanges`. */
export async function namesOf(core: HostCore, asked: AskedDisk, since: string): Promise<string[] | undefined> {
  const { machine, disk, facts } = asked;
  const unknown = unknownOf(asked);
  if (facts.problem !== undefined) throw unknown(facts.problem);
  const reason = core.hypervisorInfo.capabilities.changedBlocks
    ? untrackable(machine.configuration, disk, facts.kinds)
    : 'this host cannot';
  if (reason !== undefined) throw unknown(reason);
  return since === everything ? undefined : await namesSince(core, asked, since, unknown);
}

function unknownOf({ machine, disk, facts }: AskedDisk) {
  const file = facts.chain[0]?.[0] === undefined ? disk.fileName : machine.datastore.format(facts.chain[0][0]);
  return (reason: string, cause?: unknown): VimFault =>
    fault('FileFault', { file }, `What changed on ${file} cannot be told: ${reason}.`, { cause });
}

/** As `openChanges`, for clients that go about in the disk: its change map is called `changes`. */
export async function openChangedDisk(core: HostCore, asked: AskedDisk, since: string): Promise<LeasedDisk> {
  const { disk, names, close } = await openChanges(core, asked, since);
  const stretches = (options: RangeOptions) => stretchesOf(disk, names, options);
  return {
    disk,
    writable: false,
    changeMaps: [changeMapOfStretches(changeMapName, disk.virtualBytes, stretches)],
    close,
  };
}

/** What was asked of a source: what changed, or what is stored. */
export function stretchesOf(
  disk: ChangeSource['disk'],
  names: ChangeSource['names'],
  options: RangeOptions,
): AsyncIterable<ChangedStretch> {
  return names === undefined ? storedStretches(disk, options) : changedStretches(disk, names, options);
}

async function namesSince(
  core: HostCore,
  { machine, facts, snapshot }: AskedDisk,
  since: string,
  unknown: (reason: string) => VimFault,
): Promise<string[]> {
  const id = parseChangeId(since);
  if (id === undefined) throw unknown(`'${since.slice(0, 80)}' is no id of a change`);
  const over = () => unknown('the id is not known any more; read all of the disk');
  const tracked = findTracked(machine.changes, baseNameOf(machine, facts));
  const generations = tracked && generationsSince(tracked, id, snapshot);
  if (tracked?.epoch === undefined || generations === undefined) throw over();
  if (core.machines.engine(machine.id) !== undefined) {
    if (tracked.epoch.closed !== undefined) throw over();
  } else {
    // Nobody may have written any layer of the machine's disk since.
    const now = machine.configuration.disks.find(
      ({ key }) => baseNameOf(machine, machine.disks.get(key)) === tracked.base,
    );
    if (now === undefined || !(await core.changes.isUnchanged(machine, await chainOfDisk(machine, now.fileName))))
      throw over();
  }
  return generations.map(generationName);
}

/** Through the engine where it has the disk: what it keeps is nowhere else. */
async function exportOf(core: HostCore, asked: AskedDisk, names: readonly string[] | undefined): Promise<DiskExport> {
  const generations = names ?? [];
  const { machine, disk, facts, snapshot } = asked;
  const engine = core.machines.engine(machine.id);
  if (engine !== undefined) {
    const { configuration, disks } = machine;
    const descriptor = facts.chain[0]?.[0];
    const running = configuration.disks.find(({ key }) => disks.get(key)?.chain.some(([path]) => path === descriptor));
    if (running !== undefined) {
      const layer = snapshot === undefined ? {} : { layer: machine.datastore.absolute(topFile(facts)) };
      return engine.exportDisk(diskIdOf(configuration, running), { ...layer, generations });
    }
  }
  // What is stored is asked of the disk itself: an image that it was written past says zeros where there are none.
  const chain = await chainOfDisk(machine, disk.fileName);
  const layers = names === undefined ? chainLayers(chain) : trackedLayers(machine, chain);
  return core.hypervisor.images.exportDisk({ layers, socketPath: freeSocketPath(core), generations });
}

/** The file that the top layer of a disk is. */
function topFile({ chain, kinds }: DiskFacts): string {
  const [descriptor = '', extent = descriptor] = chain[0] ?? [];
  return kinds[0] === 'foreign' ? descriptor : extent;
}

/** Throws TaskInProgress while layers of the machine's disks are merged. */
export function mustNotMerge(core: HostCore, machine: MachineRecord): void {
  const task = core.claims.holder(claimOf.merging(machine.id));
  if (task !== undefined) throw fault('TaskInProgress', { task }, 'Disks of the machine are being merged.');
}
