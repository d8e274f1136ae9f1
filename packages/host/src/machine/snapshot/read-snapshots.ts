import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { maximumVmxBytes, VmxFile } from '../../vmx/vmx-file.ts';
import { readDisk } from '../files/machine-files.ts';
import type { DiskFacts } from '../record/machine-record.ts';
import { emptySnapshots, type MachineSnapshots, type SnapshotView } from './machine-snapshots.ts';
import { readVmsd, readVmsn } from './snapshot-files.ts';
import type { SnapshotEntry } from './snapshot-list.ts';

/** Files of snapshots that are read at a time; each has 16 MiB at most. */
const readAtOnce = 4;

/** What a machine's folder says of its snapshots; a list that cannot be read has its reason in `problem`. */
export async function readSnapshots(
  core: Pick<HostCore, 'guestOs'>,
  datastore: Datastore,
  vmxPath: string,
  { configuration, disks }: { readonly configuration: MachineConfiguration; readonly disks: Promise<Disks> },
): Promise<MachineSnapshots> {
  try {
    const { list } = await readVmsd(datastore, vmxPath);
    if (list.entries.length === 0) return { ...emptySnapshots, lastUid: list.lastUid };
    const place = { datastore, vmxPath };
    const read = await eachOf(list.entries.toReversed(), async (entry) => {
      return [entry, await readConfiguration(core, place, entry, configuration)] as const;
    });
    const known = new KnownChains(datastore, vmxPath, await disks);
    const views = new Map<number, SnapshotView>();
    // The youngest first: their chains have most of the others in them.
    for (const [entry, found] of read) views.set(entry.uid, await viewOf(entry, found, known));
    return { ...list, views, problem: undefined };
  } catch (error) {
    return { ...emptySnapshots, problem: datastore.shown(error instanceof Error ? error.message : String(error)) };
  }
}

type Disks = ReadonlyMap<number, DiskFacts>;
type Kept = Pick<SnapshotView, 'configuration' | 'problem'>;

/** Some at a time, in their order. */
async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  for (let at = 0; at < items.length; at += readAtOnce)
    done.push(...(await Promise.all(items.slice(at, at + readAtOnce).map(work))));
  return done;
}

/** The machine as a snapshot keeps it; as it is `now` where that cannot be read. */
async function readConfiguration(
  core: Pick<HostCore, 'guestOs'>,
  { datastore, vmxPath }: { readonly datastore: Datastore; readonly vmxPath: string },
  { fileName }: SnapshotEntry,
  now: MachineConfiguration,
): Promise<Kept> {
  try {
    const { vmx } = await readVmsn(datastore, vmxPath, fileName);
    const file = VmxFile.parse(vmx.subarray(0, maximumVmxBytes + 1), fileName);
    return { configuration: configurationFromVmx(file, core.guestOs, now.name), problem: undefined };
  } catch (error) {
    return { configuration: now, problem: datastore.shown(error instanceof Error ? error.message : String(error)) };
  }
}

async function viewOf(
  entry: SnapshotEntry,
  { configuration, problem }: Kept,
  known: KnownChains,
): Promise<SnapshotView> {
  const disks = new Map<number, DiskFacts>();
  if (problem === undefined) {
    for (const disk of configuration.disks) disks.set(disk.key, await known.facts(disk.fileName));
  } else {
    // Which disks it keeps is in the list as well.
    for (const [index, disk] of entry.disks.entries()) disks.set(index, await known.facts(disk.fileName));
  }
  return { configuration, disks, problem };
}

/** Chains of disks that were read: a disk that is a base in one of them is not read again. */
class KnownChains {
  readonly #datastore: Datastore;
  readonly #vmxPath: string;
  readonly #within = new Map<string, { readonly facts: DiskFacts; readonly at: number }>();

  constructor(datastore: Datastore, vmxPath: string, disks: ReadonlyMap<number, DiskFacts>) {
    this.#datastore = datastore;
    this.#vmxPath = vmxPath;
    for (const facts of disks.values()) this.#keep(facts);
  }

  async facts(fileName: string): Promise<DiskFacts> {
    const path = this.#datastore.relative(this.#vmxPath, fileName);
    const known = path === undefined ? undefined : this.#within.get(path);
    if (known !== undefined) return below(known.facts, known.at);
    const facts = await readDisk(this.#datastore, this.#vmxPath, fileName);
    this.#keep(facts);
    return facts;
  }

  #keep(facts: DiskFacts): void {
    for (const [at, [descriptor]] of facts.chain.entries())
      if (descriptor !== undefined && !this.#within.has(descriptor)) this.#within.set(descriptor, { facts, at });
  }
}

/** The disk that is `at` in the chain of another. */
function below(facts: DiskFacts, at: number): DiskFacts {
  return at === 0
    ? facts
    : {
        ...facts,
        contentId: facts.contentIds[at] ?? '',
        chain: facts.chain.slice(at),
        kinds: facts.kinds.slice(at),
        contentIds: facts.contentIds.slice(at),
      };
}
