import type { RunningMachine } from '@hypostyle/contracts';
import { type Draft, fault, type ManagedObjectReference, type Registry, type VimFault } from '@hypostyle/vim';
import { otherDatastores } from './held-files.ts';
import type { MachineRecord } from './machine-record.ts';
import { SharedEntries } from './shared-entries.ts';

/** Which properties of the managed object say what a member of the record says. */
const shownBy: { readonly [M in keyof MachineRecord]?: readonly string[] } = {
  datastore: ['datastore', 'config', 'layoutEx', 'storage', 'summary'],
  vmxPath: ['config', 'layoutEx', 'summary'],
  resourcePool: ['resourcePool'],
  configuration: ['config', 'name', 'network', 'runtime'],
  modified: ['config'],
  created: ['config'],
  vApp: ['config', 'summary'],
  vAppProblem: ['runtime'],
  guestEnvironment: ['config'],
  disks: ['config', 'layoutEx', 'runtime'],
  snapshots: ['snapshot', 'rootSnapshot', 'layoutEx', 'runtime'],
  changes: ['config'],
  files: ['layoutEx', 'storage'],
  powerState: ['runtime', 'config', 'guest'],
  bootTime: ['runtime'],
  suspendTime: ['runtime'],
  cleanPowerOff: ['runtime'],
  guest: ['guest'],
  agentConnected: ['guest', 'config'],
  stats: ['summary'],
  question: ['runtime'],
  toolsMounted: ['runtime'],
  connections: ['config'],
  problem: ['runtime', 'config', 'summary'],
};

/** Every registered machine, with its engine while one runs. */
export class Machines {
  readonly #registry: Registry;
  /** Told when a machine begins or ends to use what it is granted. */
  readonly #usageChanged: (draft: Draft) => void;
  readonly #records = new Map<string, MachineRecord>();
  readonly #engines = new Map<string, RunningMachine>();
  readonly #byPath = new Map<string, string>();
  /** How many machines have a name: folders that were copied may share one. */
  readonly #names = new Map<string, number>();
  readonly #entries = new SharedEntries();

  constructor(registry: Registry, usageChanged: (draft: Draft) => void) {
    this.#registry = registry;
    this.#usageChanged = usageChanged;
  }

  get size(): number {
    return this.#records.size;
  }

  all(): IterableIterator<MachineRecord> {
    return this.#records.values();
  }

  find(id: string): MachineRecord | undefined {
    return this.#records.get(id);
  }

  /** The machine of a reference; ManagedObjectNotFound when it is gone. */
  get(ref: ManagedObjectReference): MachineRecord {
    const record = this.#records.get(ref.value);
    if (record === undefined) throw gone(ref);
    return record;
  }

  /** The machine whose `.vmx` is that file of that datastore. */
  at(datastoreUuid: string, vmxPath: string): MachineRecord | undefined {
    const id = this.#byPath.get(`${datastoreUuid}/${vmxPath}`);
    return id === undefined ? undefined : this.#records.get(id);
  }

  /** A machine of that name. */
  named(name: string): MachineRecord | undefined {
    if (!this.#names.has(name)) return undefined;
    for (const record of this.#records.values()) if (record.configuration.name === name) return record;
    return undefined;
  }

  engine(id: string): RunningMachine | undefined {
    return this.#engines.get(id);
  }

  setEngine(id: string, engine: RunningMachine | undefined): void {
    if (engine === undefined) this.#engines.delete(id);
    else this.#engines.set(id, engine);
  }

  insert(record: MachineRecord): void {
    this.#records.set(record.id, this.#lean(record));
    this.#byPath.set(`${record.datastore.uuid}/${record.vmxPath}`, record.id);
    this.#countName(record, 1);
  }

  delete(id: string): void {
    const record = this.#records.get(id);
    if (record === undefined) return;
    this.#records.delete(id);
    this.#engines.delete(id);
    this.#byPath.delete(`${record.datastore.uuid}/${record.vmxPath}`);
    this.#countName(record, -1);
  }

  /** Its files are elsewhere from now on. */
  move(id: string, place: Pick<MachineRecord, 'datastore' | 'vmxPath'>, draft: Draft): void {
    const record = this.#records.get(id);
    if (record === undefined) return;
    this.#byPath.delete(`${record.datastore.uuid}/${record.vmxPath}`);
    this.#byPath.set(`${place.datastore.uuid}/${place.vmxPath}`, id);
    this.change(id, place, draft);
  }

  /** Replaces members of a record, in a commit: followers of the properties that show them are woken. */
  change(id: string, members: Partial<MachineRecord>, draft?: Draft): void {
    const record = this.#records.get(id);
    if (record === undefined) return;
    if (draft === undefined) {
      this.#registry.commit((own) => this.change(id, members, own));
      return;
    }
    const next = { ...record, ...members };
    const changed = next.configuration === record.configuration ? next : this.#lean(next);
    this.#records.set(id, changed);
    if (changed.configuration.name !== record.configuration.name) {
      this.#countName(record, -1);
      this.#countName(changed, 1);
    }
    const { powerState, configuration } = record;
    if (changed.powerState !== powerState || (powerState === 'poweredOn' && changed.configuration !== configuration))
      this.#usageChanged(draft);
    const properties = new Set<string>();
    for (const member in members) {
      const key = member as keyof MachineRecord;
      if (members[key] !== record[key]) for (const property of shownBy[key] ?? []) properties.add(property);
    }
    if (!draft.has(record.ref)) return;
    for (const property of properties) draft.touch(record.ref, property);
    if (members.disks !== undefined || members.snapshots !== undefined) touchDatastores(record, changed, draft);
  }

  /** The record with what it can share with others. */
  #lean(record: MachineRecord): MachineRecord {
    const { configuration } = record;
    const extra = this.#entries.share(configuration.extra);
    return { ...record, configuration: { ...configuration, extra } };
  }

  #countName({ configuration: { name } }: MachineRecord, change: 1 | -1): void {
    const count = (this.#names.get(name) ?? 0) + change;
    if (count === 0) this.#names.delete(name);
    else this.#names.set(name, count);
  }
}

/** Its disks may have come to other datastores, or gone from them. */
function touchDatastores(before: MachineRecord, now: MachineRecord, draft: Draft): void {
  const changed = otherDatastores(before).symmetricDifference(otherDatastores(now));
  if (changed.size > 0) draft.touch(now.ref, 'datastore');
  for (const { ref } of changed) if (draft.has(ref)) draft.touch(ref, 'vm');
}

function gone(obj: ManagedObjectReference): VimFault {
  return fault(
    'ManagedObjectNotFound',
    { obj },
    `The object '${obj.type}:${obj.value}' has already been deleted or has not been completely created.`,
  );
}
