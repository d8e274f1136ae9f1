import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type DiskMove, HypervisorError } from '@hypostyle/contracts';
import { changeDiskRoom, faults, joinPath, splitPath } from '@hypostyle/services';
import {
  asFault,
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineRelocateSpec,
} from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { references } from '../../inventory/references.ts';
import { writeVApp } from '../../vapp/vapp-file.ts';
import { writeChangeRecord } from '../changes/change-record-file.ts';
import { withoutEpoch } from '../changes/tracked-disk.ts';
import { engineFound } from '../engine/engine-found.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { readVmx, syncFolder, writeVmx } from '../files/machine-files.ts';
import { deleteDoomed, filesOf } from '../files/machine-removal.ts';
import { mustBeFree, provisioning } from '../lifecycle/lifecycle-work.ts';
import { choosePlace } from '../lifecycle/machine-place.ts';
import { nvramPathOf } from '../power/hardware.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { machineReference, putMachine, readMachine } from '../registration/registration.ts';
import type { SettleWork } from '../settle/settle-work.ts';
import { refreshMachine } from '../snapshot/refresh-machine.ts';
import { copyFault } from './clone-files.ts';
import { depart, departureOf, goOnDeparting } from './departure-work.ts';
import { checkDepartures, departures, withoutDeparted } from './disk-departures.ts';
import { moveOf } from './live-disks.ts';
import { checkSpace, copyFiles, nameFiles, type RelocateJournal, undoMove } from './relocate-files.ts';
import { type RelocatePlan, relocatePlan } from './relocate-plan.ts';

interface RelocateInput {
  readonly id: string;
  readonly spec: VirtualMachineRelocateSpec;
}

/** A machine that runs: what its engine was asked for. */
type Begun = RelocateJournal & { readonly moves?: readonly DiskMove[] };

export interface RelocateWork {
  relocate(call: Call, spec: VirtualMachineRelocateSpec): Promise<ManagedObjectReference<'Task'>>;
}

/** What else of the host a move has to do with. */
export interface RelocateParts {
  readonly watch: Pick<MachineWatch, 'ended'>;
  readonly settle: Pick<SettleWork, 'complete'>;
}

/** VirtualMachine.RelocateVM_Task between datastores of a host, of machines that run and of those that are off. */
export function defineRelocateWork(core: HostCore, parts: RelocateParts): RelocateWork {
  const run = (task: RunningTask, input: RelocateInput) => provisioning(core, () => relocate(core, parts, task, input));
  const start = core.tasks.define<RelocateInput>('VirtualMachine.relocate', {
    method: 'RelocateVM_Task',
    cancelable: true,
    run,
    resume: run,
  });
  return {
    relocate: async (call, spec) => {
      core.maintenance.check();
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      if (spec.host !== undefined && spec.host.value !== references.host.value)
        throw fault(
          'InvalidArgument',
          { invalidProperty: 'spec.host' },
          'The machine is on this host, and stays here.',
        );
      await relocatePlan(core, machine, spec);
      await checkDepartures(core, machine, departures(core, machine, spec));
      return start(call, { input: { id: machine.id, spec }, queueKey: machine.id });
    },
  };
}

async function relocate(
  core: HostCore,
  parts: RelocateParts,
  task: RunningTask,
  { id, spec: asked }: RelocateInput,
): Promise<void> {
  const left = departureOf(task.journaled);
  const begun = left === undefined ? (task.journaled as Begun | undefined) : undefined;
  const letGo = core.claims.take([claimOf.copying(id, task.ref.value)], task.ref, () =>
    fault('TaskInProgress', { task: task.ref }, 'The machine is being copied.'),
  );
  let members: ReturnType<typeof destination> | undefined;
  try {
    if (begun !== undefined && (await goOn(core, parts, task, id, begun))) return;
    let departed = left !== undefined && (await goOnDeparting(core, parts, task, id, left)) ? left : undefined;
    for (let first = task.journaled === undefined; ; first = false) {
      const machine = await settled(core, parts, task, id);
      const spec = withoutDeparted(asked, new Set(departed?.departed.map(({ key }) => key)));
      const leaving = departures(core, machine, spec);
      const plan = await relocatePlan(core, machine, spec);
      const datastore = leaving[0]?.datastore ?? plan?.datastore;
      if (datastore === undefined) {
        if (departed !== undefined) tellRelocated(core, task, machine, machine.datastore);
        return;
      }
      members = destination(core, machine, datastore);
      const data = { entity: machine.ref, members };
      if (first) core.registry.commit((draft) => task.post(draft, { type: 'VmBeingRelocatedEvent', ...data }));
      if (leaving.length > 0 || plan === undefined) {
        departed = (await depart(core, parts, task, machine, leaving)) ?? departed;
        continue;
      }
      if (plan.live === undefined && plan.datastore === machine.datastore) await changeRoom(core, task, machine, plan);
      else if (!(await move(core, parts, task, machine, plan))) continue;
      return;
    }
  } catch (error) {
    const { detail, message } = asFault(error);
    const reason = { _typeName: 'LocalizedMethodFault', fault: detail, localizedMessage: message };
    const entity = core.machines.find(id)?.ref;
    if (members !== undefined && entity !== undefined)
      core.registry.commit((draft) =>
        task.post(draft, { type: 'VmRelocateFailedEvent', entity, members: { ...members, reason } }),
      );
    throw error;
  } finally {
    letGo();
  }
}

/** The machine once its disks are plain, and nobody reads disks of its snapshots. */
async function settled(core: HostCore, { settle }: RelocateParts, task: RunningTask, id: string) {
  const ref = machineReference(id);
  const reading = core.claims.holderWithin(claimOf.chains(id));
  if (reading !== undefined)
    throw fault('TaskInProgress', { task: reading }, 'Disks of the machine are being read; wait until that has ended.');
  if ([...core.machines.get(ref).disks.values()].some(({ settling }) => settling))
    await settle.complete(id, task.signal, () => {});
  return core.machines.get(ref);
}

/** What an earlier process began. False: it is undone, and all is to be done anew. */
async function goOn(
  core: HostCore,
  parts: RelocateParts,
  task: RunningTask,
  id: string,
  begun: Begun,
): Promise<boolean> {
  const ref = machineReference(id);
  // As long as the engine may be there, nobody knows which files it has.
  await engineFound(core, task, id);
  const machine = core.machines.get(ref);
  const isThere = machine.datastore.uuid === begun.datastore && machine.vmxPath === begun.vmxPath;
  if (begun.moves !== undefined && core.machines.engine(id) !== undefined) {
    if (!(await changeOver(core, parts, task, machine, begun)) && !isThere) return false;
  } else if (!isThere) {
    await undoMove(core, begun);
    return false;
  }
  await conclude(core, task, core.machines.get(ref), begun, isThere ? undefined : machine);
  return true;
}

/** Disks that stay where they are get more room, or less; whatever ends it, no byte of them changes. */
async function changeRoom(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { datastore, flattened }: RelocatePlan,
): Promise<void> {
  for (const [index, { key, allocation }] of flattened.entries()) {
    const [path, ...more] = machine.disks.get(key)?.chain.map(([descriptor]) => descriptor) ?? [];
    if (path === undefined || more.length > 0 || machine.disks.get(key)?.kinds[0] !== 'flat')
      throw fault('NotSupported', {}, 'The room of a disk that stands on another is not changed; promote it first.');
    try {
      await changeDiskRoom({
        path: datastore.absolute(path),
        allocation,
        signal: task.signal,
        onProgress: (fraction) => task.progress(Math.floor((95 * (index + fraction)) / flattened.length)),
      });
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, path);
    }
  }
  await refreshMachine(core, machine.id);
  tellRelocated(core, task, machine, datastore);
}

/** False: the machine's engine ended meanwhile, and nothing came of it. */
async function move(
  core: HostCore,
  parts: RelocateParts,
  task: RunningTask,
  machine: MachineRecord,
  plan: RelocatePlan,
): Promise<boolean> {
  const { datastore, live } = plan;
  await checkSpace(machine, plan);
  const { name } = machine.configuration;
  const place = await choosePlace(core, datastore.format(''), name, task);
  try {
    const vmxPath = joinPath(place.folder, splitPath(machine.vmxPath).name);
    const journal: RelocateJournal = {
      datastore: datastore.uuid,
      vmxPath,
      doomed: await filesOf(core, machine, disksOf(machine, plan)),
    };
    await task.journal(journal);
    const directory = datastore.absolute(place.folder);
    try {
      await mkdir(directory, { recursive: true });
      await syncFolder(dirname(directory));
      await copyFiles(core, task, machine, plan, directory);
      const vmx = await readVmx(machine.datastore, machine.vmxPath);
      nameFiles(vmx, machine, plan);
      if (machine.vApp !== undefined) await writeVApp(datastore, vmxPath, machine.vApp);
      // What a guest changes on the way is not known there: the next ids are of another epoch, by other numbers.
      if (live !== undefined && machine.changes.length > 0)
        await writeChangeRecord(datastore, vmxPath, machine.changes.map(withoutEpoch));
      await writeVmx(datastore, vmxPath, vmx);
      // Whatever of it cannot be read there is found out before the machine is there.
      await readMachine(core, datastore, vmxPath);
      task.signal.throwIfAborted();
    } catch (error) {
      await undoMove(core, journal);
      throw error;
    }
    if (live === undefined) await registerThere(core, machine, journal);
    else {
      const moving = { ...journal, moves: live.map((disk) => moveOf(disk, directory)) };
      await task.journal(moving);
      if (!(await changeOver(core, parts, task, machine, moving))) return false;
    }
    if (live === undefined) await showThere(core, machine.id, journal);
    await conclude(core, task, core.machines.get(machine.ref), journal, machine);
    return true;
  } finally {
    place.release();
  }
}

/** Without those that stay: what they are is not to be taken away. */
function disksOf({ disks }: MachineRecord, { apart }: RelocatePlan): MachineRecord['disks'] {
  return new Map([...disks].filter(([key]) => !apart.some((disk) => disk.key === key)));
}

/** The one write by which a machine is at its new place, and no longer where it was. */
async function registerThere(
  core: HostCore,
  { id, created }: MachineRecord,
  { datastore, vmxPath }: RelocateJournal,
): Promise<void> {
  await core.store.transact([putMachine({ id, datastore, vmxPath, created })]);
}

async function showThere(core: HostCore, id: string, { datastore: uuid, vmxPath }: RelocateJournal): Promise<void> {
  const datastore = core.datastores.byUuid(uuid);
  if (datastore === undefined) return;
  const now = await readMachine(core, datastore, vmxPath);
  core.registry.commit((draft) => {
    core.machines.move(id, { datastore, vmxPath }, draft);
    core.machines.change(id, now, draft);
    core.inventory.refresh(draft);
  });
}

/**
 * Has the guest's disks copied while it writes them, and the machine go on from its new place. False: its engine ended
 * before that, and nothing is left there.
 */
async function changeOver(
  core: HostCore,
  { watch }: RelocateParts,
  task: RunningTask,
  machine: MachineRecord,
  journal: Begun,
): Promise<boolean> {
  const { id, datastore: from, vmxPath: before } = machine;
  const datastore = core.datastores.byUuid(journal.datastore);
  const engine = core.machines.engine(id);
  let registered = from.uuid === journal.datastore && before === journal.vmxPath;
  try {
    if (datastore === undefined) throw faults.cannotAccess(journal.vmxPath, 'the datastore is gone');
    if (engine === undefined) throw new HypervisorError('not-running', 'The machine does not run.');
    const folder = dirname(datastore.absolute(journal.vmxPath));
    await mkdir(join(folder, '.hypo'), { recursive: true });
    await engine.moveDisks({
      disks: journal.moves ?? [],
      lockPath: join(folder, '.hypo', 'vm.lck'),
      nvramPath: nvramPathOf(machine.configuration, datastore.absolute(journal.vmxPath)),
      signal: task.signal,
      onProgress: (fraction) => task.progress(30 + Math.floor(65 * fraction)),
      onMoved: async () => {
        await registerThere(core, machine, journal);
        registered = true;
      },
    });
  } catch (error) {
    const ended = error instanceof HypervisorError && error.code === 'not-running';
    if (ended) await watch.ended(id, 'crashed');
    if (!registered) {
      await undoMove(core, journal);
      if (ended) return false;
      throw task.signal.aborted || datastore === undefined ? error : copyFault(error, datastore, journal.vmxPath);
    }
    // Only what is left of the former place is to be taken away: the machine is there.
    if (!ended) core.onDefect('a machine that was moved', error);
  }
  await showThere(core, id, journal);
  return true;
}

/** The files where it was go; a machine that nothing stands on leaves none. */
async function conclude(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { doomed }: RelocateJournal,
  before: Pick<MachineRecord, 'datastore'> | undefined,
): Promise<void> {
  if (doomed !== undefined) await deleteDoomed(core, doomed);
  const from = before?.datastore ?? (doomed && core.datastores.byUuid(doomed.datastore));
  tellRelocated(core, task, machine, from);
}

function tellRelocated(core: HostCore, task: RunningTask, machine: MachineRecord, from: Datastore | undefined): void {
  core.registry.commit((draft) =>
    task.post(draft, {
      type: 'VmRelocatedEvent',
      entity: machine.ref,
      members: {
        template: machine.configuration.template,
        sourceHost: hostArgument(core),
        ...(from === undefined ? {} : { sourceDatastore: datastoreArgument(from) }),
      },
    }),
  );
}

function destination(core: HostCore, { configuration }: MachineRecord, datastore: Datastore) {
  return {
    template: configuration.template,
    destHost: hostArgument(core),
    destDatastore: datastoreArgument(datastore),
  };
}

function hostArgument({ registry, names }: HostCore) {
  const name = String(registry.read(names.host, 'name') ?? '');
  return { _typeName: 'HostEventArgument', name, host: names.host };
}

function datastoreArgument({ name, ref }: { readonly name: string; readonly ref: ManagedObjectReference }) {
  return { _typeName: 'DatastoreEventArgument', name, datastore: ref };
}
