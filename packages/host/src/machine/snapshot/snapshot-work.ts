import type { HypervisorCapabilities } from '@hypostyle/contracts';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type SnapshotSelectionSpec,
  type TaskOrigin,
  VimFault,
} from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { references } from '../../inventory/references.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { mustBeFree } from '../lifecycle/lifecycle-work.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { createSnapshot, planSnapshot } from './create-snapshot.ts';
import type { CreateSnapshotInput } from './create-work.ts';
import { refreshMachine } from './refresh-machine.ts';
import { type RemoveInput, removeSnapshots } from './remove-snapshot.ts';
import { planReverting, type RevertInput, type RevertParts, revertToSnapshot } from './revert-snapshot.ts';
import { checkSnapshots, mustTakeSnapshots, snapshotFault } from './snapshot-faults.ts';
import { readVmsd, writeVmsd } from './snapshot-files.ts';
import { changeSnapshot, findSnapshot } from './snapshot-list.ts';

type TaskReference = ManagedObjectReference<'Task'>;

/** Which snapshot of which machine. */
export interface SnapshotPlace {
  readonly machineId: string;
  readonly uid: number;
}

interface RevertOptions {
  readonly host: ManagedObjectReference | undefined;
  /** A machine that ran when the snapshot was taken stays suspended. */
  readonly suppressPowerOn: boolean;
}

interface RenameInput {
  readonly id: string;
  readonly uid: number;
  readonly name: string | undefined;
  readonly description: string | undefined;
}

/** Snapshots of machines, as tasks that go on after a restart. */
export interface SnapshotWork {
  create(call: Call, options: Omit<CreateSnapshotInput, 'id'>): Promise<TaskReference>;
  revert(call: Call, place: SnapshotPlace, options: RevertOptions): Promise<TaskReference>;
  revertToCurrent(call: Call, options: RevertOptions): Promise<TaskReference>;
  remove(
    call: Call,
    place: SnapshotPlace,
    options: { readonly removeChildren: boolean; readonly consolidate: boolean },
  ): Promise<TaskReference>;
  removeAll(
    call: Call,
    options: { readonly consolidate: boolean; readonly spec: SnapshotSelectionSpec | undefined },
  ): Promise<TaskReference>;
  consolidate(call: Call): Promise<TaskReference>;
  /** As parts of another task, which finds them again after a restart. Resolve at their ends, and throw their faults. */
  readonly parts: {
    /** Takes a snapshot of that name, which no other has, with the memory of a guest that runs or without; answers its uid. */
    take(task: RunningTask, machineId: string, name: string, memory?: boolean): Promise<number>;
    /** Merges what nothing needs to be apart any more; once a task. */
    merge(task: RunningTask, machineId: string): Promise<void>;
    /** Resolves when a merge that an earlier process began for the task is over, however it ended. */
    mergeEnded(task: RunningTask): Promise<void>;
    /** Removes the snapshot of that name, once nobody reads it. */
    remove(task: RunningTask, machineId: string, name: string): Promise<void>;
  };
  rename(
    call: Call,
    place: SnapshotPlace,
    options: { readonly name: string | undefined; readonly description: string | undefined },
  ): Promise<void>;
}

/** Longest name of a snapshot, in characters. */
const longestName = 255;

export function defineSnapshotWork(core: HostCore, watch: MachineWatch, powerOn: RevertParts['powerOn']): SnapshotWork {
  const again = <Input>(run: (task: RunningTask, input: Input) => Promise<unknown>) => ({ run, resume: run });
  const create = core.tasks.define<CreateSnapshotInput>('VirtualMachine.createSnapshot', {
    method: 'CreateSnapshot_Task',
    plan: (input) => planSnapshot(core, input),
    run: (task, input) => createSnapshot(core, watch, task, input, { isAgain: false }),
    resume: (task, input) => createSnapshot(core, watch, task, input, { isAgain: true }),
  });
  const reverts = { core, watch, powerOn };
  const reverting = {
    plan: (input: RevertInput) => planReverting(core, input),
    run: (task: RunningTask, input: RevertInput) => revertToSnapshot(reverts, task, input, { isAgain: false }),
    resume: (task: RunningTask, input: RevertInput) => revertToSnapshot(reverts, task, input, { isAgain: true }),
  };
  /** What an export reads is not merged away under it; one whose clients have left ends. */
  const mustBeUnread = (id: string): Promise<unknown> => {
    const { holder: task, givenUp } = core.claims.ask(claimOf.chains(id));
    if (task !== undefined) throw fault('TaskInProgress', { task }, 'A snapshot of the machine is being exported.');
    return givenUp;
  };
  const removing = again(async (task, input: RemoveInput) => {
    await mustBeUnread(input.id);
    const busy = () => fault('TaskInProgress', { task: task.ref }, 'Disks of the machine are being merged.');
    const release = core.claims.take([claimOf.merging(input.id)], task.ref, busy);
    try {
      return await removeSnapshots(core, watch, task, input);
    } finally {
      release();
    }
  });
  const revert = core.tasks.define<RevertInput>('VirtualMachineSnapshot.revert', {
    method: 'RevertToSnapshot_Task',
    ...reverting,
  });
  const revertToCurrent = core.tasks.define<RevertInput>('VirtualMachine.revertToCurrentSnapshot', {
    method: 'RevertToCurrentSnapshot_Task',
    ...reverting,
  });
  const remove = core.tasks.define<RemoveInput>('VirtualMachineSnapshot.remove', {
    method: 'RemoveSnapshot_Task',
    cancelable: true,
    ...removing,
  });
  const removeAll = core.tasks.define<RemoveInput>('VirtualMachine.removeAllSnapshots', {
    method: 'RemoveAllSnapshots_Task',
    cancelable: true,
    ...removing,
  });
  const consolidate = core.tasks.define<RemoveInput>('VirtualMachine.consolidateDisks', {
    method: 'ConsolidateVMDisks_Task',
    cancelable: true,
    ...removing,
  });
  const rename = core.tasks.define<RenameInput>('VirtualMachineSnapshot.rename', {
    method: 'RenameSnapshot',
    ...again((_task, input: RenameInput) => renameSnapshot(core, input)),
  });
  const ready = (ref: ManagedObjectReference): MachineRecord => {
    if (!core.hypervisorInfo.capabilities.diskSnapshots)
      throw fault('NotSupported', {}, `${core.hypervisorInfo.product} takes no snapshots of disks.`);
    const machine = core.machines.get(ref);
    mustBeFree(core, machine);
    checkSnapshots(machine);
    return machine;
  };
  const at = ({ machineId, uid }: SnapshotPlace): MachineRecord => {
    const machine = ready({ type: 'VirtualMachine', value: machineId });
    if (findSnapshot(machine.snapshots.entries, uid) === undefined)
      throw fault('NotFound', {}, 'The snapshot is gone.');
    return machine;
  };
  const unread = (machine: MachineRecord): MachineRecord => {
    void mustBeUnread(machine.id);
    return machine;
  };
  const named = (machineId: string, name: string) =>
    core.machines.find(machineId)?.snapshots.entries.find((entry) => entry.name === name);
  /** Begins a part of a task, or finds it again by what it is called, and waits for its end. */
  const whole = async (
    task: RunningTask,
    called: string | undefined,
    begin: (origin: TaskOrigin, part: { parentTaskKey: string; activationId?: string }) => Promise<TaskReference>,
  ): Promise<void> => {
    const activationId = called === undefined ? undefined : `${task.ref.value}/${called}`;
    const begun = activationId === undefined ? undefined : core.tasks.byActivation(activationId).at(-1);
    const part = { parentTaskKey: task.ref.value, ...(activationId === undefined ? {} : { activationId }) };
    const ref = begun ?? (await begin({ userName: task.userName }, part));
    // One that was over long ago is no object any more.
    const info = await core.tasks.finished(ref).catch(() => undefined);
    const error = info?.error;
    if (error !== undefined)
      throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
  };
  const on = ({ id, ref }: MachineRecord) => ({ entity: ref, queueKey: id });
  return {
    create: (call, options) => {
      const machine = ready(call.self.ref);
      mustTakeSnapshots(machine);
      checkName(options.name);
      checkCreate(machine, options.memory, core.hypervisorInfo.capabilities);
      return create(call, { input: { id: machine.id, ...options }, ...on(machine) });
    },
    revert: (call, place, { host, suppressPowerOn }) => {
      const machine = at(place);
      checkHost(host);
      checkStart(core, machine, place.uid, suppressPowerOn);
      return revert(call, { input: { id: machine.id, uid: place.uid, suppressPowerOn }, ...on(machine) });
    },
    revertToCurrent: (call, { host, suppressPowerOn }) => {
      const machine = ready(call.self.ref);
      checkHost(host);
      const { current } = machine.snapshots;
      if (current === undefined)
        throw fault('NotFound', {}, `'${machine.configuration.name}' has no current snapshot.`);
      checkStart(core, machine, current, suppressPowerOn);
      return revertToCurrent(call, { input: { id: machine.id, suppressPowerOn }, ...on(machine) });
    },
    remove: (call, place, { removeChildren, consolidate: merge }) => {
      const machine = unread(at(place));
      const what = { uid: place.uid, withChildren: removeChildren };
      return remove(call, { input: { id: machine.id, what, consolidate: merge }, ...on(machine) });
    },
    removeAll: (call, { consolidate: merge, spec }) => {
      if (spec?.retentionDays !== undefined)
        throw fault('NotSupported', {}, 'Snapshots are not selected by their age here.');
      const machine = unread(ready(call.self.ref));
      return removeAll(call, { input: { id: machine.id, what: 'all', consolidate: merge }, ...on(machine) });
    },
    consolidate: (call) => {
      const machine = unread(ready(call.self.ref));
      return consolidate(call, { input: { id: machine.id, what: 'none', consolidate: true }, ...on(machine) });
    },
    parts: {
      take: async (task, machineId, name, memory = false) => {
        const machine = ready({ type: 'VirtualMachine', value: machineId });
        checkCreate(machine, memory, core.hypervisorInfo.capabilities);
        const input = { id: machine.id, name, description: '', memory, quiesce: false };
        await whole(task, 'snapshot', (origin, part) => create(origin, { input, ...on(machine), ...part }));
        const uid = named(machineId, name)?.uid;
        if (uid === undefined) throw fault('NotFound', {}, 'The snapshot is gone.');
        return uid;
      },
      merge: async (task, machineId) => {
        const machine = ready({ type: 'VirtualMachine', value: machineId });
        const input = { id: machineId, what: 'none', consolidate: true } as const;
        await whole(task, 'merge', (origin, part) => consolidate(origin, { input, ...on(machine), ...part }));
      },
      mergeEnded: async (task) => {
        const begun = core.tasks.byActivation(`${task.ref.value}/merge`).at(-1);
        if (begun !== undefined) await core.tasks.finished(begun).catch(() => {});
      },
      remove: async (task, machineId, name) => {
        for (;;) {
          const uid = named(machineId, name)?.uid;
          if (uid === undefined) return;
          const machine = core.machines.get({ type: 'VirtualMachine', value: machineId });
          const input = { id: machineId, what: { uid, withChildren: false }, consolidate: true };
          try {
            await whole(task, undefined, (origin, part) => remove(origin, { input, ...on(machine), ...part }));
          } catch (error) {
            // An earlier process may have begun it already.
            if (named(machineId, name) === undefined) return;
            // Somebody reads disks of the machine: it goes after that.
            const reader = error instanceof VimFault && error.type === 'TaskInProgress' ? error.detail : undefined;
            const { task: other } = (reader ?? {}) as { readonly task?: TaskReference };
            if (other === undefined) throw error;
            await core.tasks.finished(other).catch(() => {});
          }
        }
      },
    },
    rename: async (call, place, options) => {
      const machine = at(place);
      if (options.name !== undefined) checkName(options.name);
      const input = { id: machine.id, uid: place.uid, ...options };
      const { error } = await core.tasks.finished(await rename(call, { input, ...on(machine) }));
      if (error !== undefined)
        throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
    },
  };
}

async function renameSnapshot(core: HostCore, { id, uid, name, description }: RenameInput): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  const { datastore, vmxPath } = machine;
  try {
    const { list } = await readVmsd(datastore, vmxPath);
    if (findSnapshot(list.entries, uid) === undefined) throw fault('NotFound', {}, 'The snapshot is gone.');
    const members = { ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }) };
    await writeVmsd(datastore, vmxPath, changeSnapshot(list, uid, members));
    await refreshMachine(core, id);
  } catch (error) {
    throw snapshotFault(error, machine);
  }
}

function checkName(name: string): void {
  if (name === '' || name.length > longestName)
    throw fault('InvalidName', { name }, `A snapshot's name has 1 to ${longestName} characters.`);
}

function checkCreate(
  { configuration, powerState }: MachineRecord,
  memory: boolean,
  { memorySnapshots }: HypervisorCapabilities,
): void {
  const most = configuration.extra.find(([key]) => key.toLowerCase() === 'snapshot.maxsnapshots')?.[1];
  if (most === '0') throw fault('SnapshotDisabled', {}, 'snapshot.maxSnapshots is 0.');
  const withMemory = powerState === 'suspended' || (memory && powerState === 'poweredOn');
  if (withMemory && configuration.disks.some(({ mode }) => mode !== 'persistent')) {
    throw fault(
      'MemorySnapshotOnIndependentDisk',
      {},
      'The machine has independent disks, which would not belong to its memory any more.',
    );
  }
  if (withMemory && powerState === 'poweredOn' && !memorySnapshots)
    throw fault('NotSupported', {}, 'The engine of this host keeps no memory; take a snapshot without it.');
}

/** A host that is to be empty starts no machine, by a revert neither. */
function checkStart(core: HostCore, { snapshots }: MachineRecord, uid: number, suppressPowerOn: boolean): void {
  const entry = findSnapshot(snapshots.entries, uid);
  if (entry?.state === 'poweredOn' && entry.memoryFile !== undefined && !suppressPowerOn) core.maintenance.check();
}

function checkHost(host: ManagedObjectReference | undefined): void {
  if (host !== undefined && host.value !== references.host.value)
    throw fault('InvalidArgument', { invalidProperty: 'host' }, 'The machine is on this host, and stays here.');
}
