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

/** What a machine's folder says of its snapshots; a list that cannot be read has its reason in `problem`. */
export async function readSnapshots(
  core: Pick<HostCore, 'guestOs'>,
  datastore: Datastore,
  vmxPath: string,
  now: { readonly configuration: MachineConfiguration; readonly disks: ReadonlyMap<number, DiskFacts> },
): Promise<MachineSnapshots> {
  try {
    const { list } = await readVmsd(datastore, vmxPath);
    if (list.entries.length === 0) return { ...emptySnapshots, lastUid: list.lastUid };
    const known = new KnownChains(datastore, vmxPath, now.disks);
    const views = new Map<number, SnapshotView>();
    // The youngest first: their chains have most of the others in them.
    for (const entry of list.entries.toReversed()) {
      views.set(entry.uid, await readView(core, { datastore, vmxPath }, entry, now.configuration, known));
    }
    return { ...list, views, problem: undefined };
  } catch (error) {
    return { ...emptySnapshots, problem: error instanceof Error ? error.message : String(error) };
  }
}

async function readView(
  core: Pick<HostCore, 'guestOs'>,
  { datastore, vmxPath }: { readonly datastore: Datastore; readonly vmxPath: string },
  entry: SnapshotEntry,
  now: MachineConfiguration,
  known: KnownChains,
): Promise<SnapshotView> {
  let configuration = now;
  let problem: string | undefined;
  try {
    const { vmx } = await readVmsn(datastore, vmxPath, entry.fileName);
    configuration = configurationFromVmx(
      VmxFile.parse(vmx.subarray(0, maximumVmxBytes + 1), entry.fileName),
      core.guestOs,
      now.name,
    );
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
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
