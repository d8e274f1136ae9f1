import { mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { faults, fileFault, joinPath, resolveInRoot } from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { applySpec, machineName, newConfiguration } from '../../configuration/apply-spec.ts';
import type { SpecContext } from '../../configuration/device-draft.ts';
import { invalid } from '../../configuration/invalid.ts';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { HostCore } from '../../host-core.ts';
import { isCenter } from '../../management/center-account.ts';
import { poolReference } from '../../pools/pool-record.ts';
import { applyVApp } from '../../vapp/apply-vapp.ts';
import { vAppPath, writeVApp } from '../../vapp/vapp-file.ts';
import { VmxFile } from '../../vmx/vmx-file.ts';
import { applyEffects, type DiskUpload, removeMade } from '../files/disk-effects.ts';
import { readVmx, syncFolder, writeVmx } from '../files/machine-files.ts';
import { type DoomedFiles, deleteDoomed, filesOf } from '../files/machine-removal.ts';
import { suspendedInFolder } from '../power/memory-image.ts';
import { runDirectoryOf } from '../power/power-on.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type Registration, registerMachines } from '../registration/register-machines.ts';
import { deleteMachine, readMachine } from '../registration/registration.ts';
import type { SettleWork } from '../settle/settle-work.ts';
import { showSnapshots } from '../snapshot/show-snapshots.ts';
import { choosePlace, exists } from './machine-place.ts';

export interface CreatedMachine {
  readonly record: MachineRecord;
  /** Disks whose bytes are still to come. */
  readonly uploads: readonly DiskUpload[];
  /** Absolute paths of what its uploads make outside of its folder. */
  readonly abroad: readonly string[];
}

export interface CreateInput {
  readonly spec: VirtualMachineConfigSpec;
  readonly pool: string;
}

interface RegisterInput {
  readonly path: string;
  readonly name: string | undefined;
  readonly asTemplate: boolean;
  readonly pool: string;
}

export interface LifecycleWork {
  create(call: Call, input: CreateInput): Promise<ManagedObjectReference<'Task'>>;
  register(call: Call, input: RegisterInput): Promise<ManagedObjectReference<'Task'>>;
  destroy(call: Call): Promise<ManagedObjectReference<'Task'>>;
  unregister(call: Call): Promise<void>;
}

/** Where a task is, so that a restart can undo it. */
export interface CreateJournal {
  readonly datastore: string;
  readonly folder: string;
  /** False when the client's own folder was there before. */
  readonly madeFolder: boolean;
  readonly vmxPath: string;
  /** The machine has a vApp configuration, which is made with it. */
  readonly hasVApp: boolean;
  /** Disks made in a folder that was there before, absolute. */
  readonly made: readonly string[];
}

export function specContext(core: HostCore): SpecContext {
  return {
    guestOs: core.guestOs,
    limits: core.limits,
    changedBlocks: core.hypervisorInfo.capabilities.changedBlocks,
    tpm: core.hypervisorInfo.capabilities.tpm,
    networkExists: (name) => core.networks.find(name) !== undefined,
    networkName: (value) => core.networks.byReference(value)?.name,
  };
}

export function defineLifecycleWork(core: HostCore, settle: SettleWork): LifecycleWork {
  const create = core.tasks.define<CreateInput>('Folder.createVm', {
    method: 'CreateVM_Task',
    run: (task, input) => provisioning(core, async () => (await createMachine(core, task, input, 'create')).record.ref),
    resume: async (task) => {
      const journal = task.journaled as CreateJournal | undefined;
      const made = journal && core.machines.at(journal.datastore, journal.vmxPath);
      if (made !== undefined) return made.ref;
      if (journal !== undefined) await undoCreate(core, journal);
      throw fault(
        'SystemError',
        { reason: 'interrupted' },
        'The management service restarted while the machine was being created; what had been made was taken away. Create it again.',
      );
    },
  });
  const register = core.tasks.define<RegisterInput>('Folder.registerVm', {
    method: 'RegisterVM_Task',
    run: async (task, input) => {
      const made = await provisioning(core, () => registerMachine(core, task, input));
      settle.begin(made.value);
      return made;
    },
    resume: async (task, input) => {
      const { datastore, path } = core.datastores.parseOfTask(input.path);
      const made = core.machines.at(datastore.uuid, path)?.ref;
      return made ?? provisioning(core, () => registerMachine(core, task, input));
    },
  });
  const destroyWork = async (task: RunningTask, input: { readonly id: string }) => {
    const machine = core.machines.find(input.id);
    if (machine === undefined) return;
    await settle.stop(input.id);
    await destroyMachine(core, task, machine);
  };
  const destroy = core.tasks.define<{ readonly id: string }>('VirtualMachine.destroy', {
    method: 'Destroy_Task',
    run: destroyWork,
    resume: destroyWork,
  });
  const unregisterWork = async (task: RunningTask, input: { readonly id: string }) => {
    const machine = core.machines.find(input.id);
    if (machine === undefined) return;
    mustBeOff(machine);
    await settle.stop(input.id);
    await removeMachine(core, machine, task.userName);
  };
  const unregister = core.tasks.define<{ readonly id: string }>('VirtualMachine.unregister', {
    method: 'UnregisterVM',
    run: unregisterWork,
    resume: unregisterWork,
  });
  return {
    create: (call, input) => {
      core.maintenance.check();
      checkCreate(core, input.spec);
      core.pools.get(poolReference(input.pool));
      return create(call, { input, entity: call.self.ref });
    },
    register: (call, input) => {
      core.maintenance.check();
      if (input.name !== undefined) machineName(input.name);
      core.pools.get(poolReference(input.pool));
      return register(call, { input, entity: call.self.ref });
    },
    destroy: (call) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      mustBeOff(machine);
      return destroy(call, { input: { id: machine.id }, queueKey: machine.id });
    },
    unregister: async (call) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      mustBeOff(machine);
      // In its turn: a machine that is just being started must not be forgotten.
      const task = await unregister(call, { input: { id: machine.id }, queueKey: machine.id });
      const { error } = await core.tasks.finished(task);
      if (error !== undefined)
        throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
    },
  };
}

/** Does what a host that enters maintenance mode waits for; InvalidState where it does not begin any more. */
export async function provisioning<R>(core: HostCore, work: () => Promise<R>): Promise<R> {
  const ended = core.maintenance.begin();
  try {
    return await work();
  } finally {
    ended();
  }
}

/**
 * Throws TaskInProgress while a task has the machine to itself, as the import or export of its disks does, or a copy. An
 * export whose clients have left ends instead, before whatever comes after it in the machine's queue.
 */
export function mustBeFree(core: HostCore, machine: MachineRecord): void {
  const { name } = machine.configuration;
  const { claims } = core;
  const task = claims.ask(claimOf.machine(machine.id)).holder ?? claims.ask(claimOf.exporting(machine.id)).holder;
  if (task !== undefined)
    throw fault('TaskInProgress', { task }, `'${name}' is being imported or exported; wait until that has ended.`);
  const copying = claims.holderWithin(claimOf.copying(machine.id));
  if (copying !== undefined)
    throw fault('TaskInProgress', { task: copying }, `'${name}' is being cloned or moved; wait until that has ended.`);
}

export function mustBeOff(machine: MachineRecord): void {
  if (machine.powerState !== 'poweredOn') return;
  throw fault(
    'InvalidPowerState',
    { requestedState: 'poweredOff', existingState: machine.powerState },
    'The machine is running; power it off first.',
  );
}

/** Takes a machine out of the inventory; its files are not touched. */
export async function removeMachine(
  core: HostCore,
  machine: MachineRecord,
  userName: string | undefined,
): Promise<void> {
  await core.store.transact([...deleteMachine(machine.id), ...core.pools.assign([machine.id], core.rootPool.value)]);
  core.pools.showAssigned(machine.id, core.rootPool.value);
  await rmdir(runDirectoryOf(core, machine.id)).catch(() => {});
  core.registry.commit((draft) => {
    core.events.post(draft, { type: 'VmRemovedEvent', entity: machine.ref, userName });
    core.machines.delete(machine.id);
    showSnapshots(core, draft, machine.id, machine);
    draft.remove(machine.ref);
    core.inventory.refresh(draft);
  });
}

/** What can be known to be wrong before a task begins is the call's own fault. */
function checkCreate(core: HostCore, spec: VirtualMachineConfigSpec): void {
  if (spec.name === undefined) throw invalid('name', 'it is unset');
  machineName(spec.name);
  if (spec.files?.vmPathName === undefined) throw invalid('files.vmPathName', 'it names no datastore');
  core.datastores.parse(spec.files.vmPathName);
  applySpec(newConfiguration(spec.name), spec, specContext(core));
  applyVApp(undefined, spec);
}

/** Throws DuplicateName, but not for a center: it asks for unique names by folders of its own. */
export function checkDuplicate(core: HostCore, name: string, userName: string): void {
  if (isCenter(userName)) return;
  const machine = core.machines.named(name);
  if (machine !== undefined)
    throw fault('DuplicateName', { name, object: machine.ref }, `The name '${name}' already exists.`);
}

/** Takes a name that no machine has and that no other task is about to give; the answer lets go. DuplicateName. */
export function claimName(core: HostCore, task: RunningTask, name: string): () => void {
  if (isCenter(task.userName)) return () => {};
  checkDuplicate(core, name, task.userName);
  return core.claims.take([claimOf.name(name)], task.ref, () =>
    fault('DuplicateName', { name, object: core.vmFolder }, `A machine of the name '${name}' is just being made.`),
  );
}

/**
 * Makes a machine's folder, disks and `.vmx`, and registers it. Whatever fails, nothing stays. With `upload`, disks
 * with a file to come are left for the upload to make.
 */
export async function createMachine(
  core: HostCore,
  task: RunningTask,
  { spec, pool }: CreateInput,
  disks: 'create' | 'upload',
): Promise<CreatedMachine> {
  const name = machineName(spec.name ?? '');
  const releaseName = claimName(core, task, name);
  let releasePlace = () => {};
  try {
    const { configuration, effects } = applySpec(newConfiguration(name), spec, specContext(core));
    const vApp = applyVApp(undefined, spec);
    const place = await choosePlace(core, spec.files?.vmPathName ?? '', name, task);
    releasePlace = place.release;
    const { datastore, folder, vmxName } = place;
    const vmxPath = joinPath(folder, vmxName);
    // What is there already is somebody's: it is refused before there is anything to take back.
    const paths = vApp === undefined ? [vmxPath] : [vmxPath, joinPath(folder, vAppPath)];
    for (const path of paths) if (await exists(datastore.absolute(path))) throw faults.exists(datastore.format(path));
    const directory = datastore.absolute(folder);
    let journal: CreateJournal = {
      datastore: datastore.uuid,
      folder,
      madeFolder: folder !== '' && !(await exists(directory)),
      vmxPath,
      hasVApp: vApp !== undefined,
      made: [],
    };
    await task.journal(journal);
    core.registry.commit((draft) =>
      task.post(draft, {
        type: 'VmBeingCreatedEvent',
        entity: core.vmFolder,
        members: { configSpec: withoutSecrets(spec), template: false },
      }),
    );
    try {
      await mkdir(directory, { recursive: true });
      await syncFolder(dirname(directory));
      const planned = async (made: readonly string[]) => {
        // What is in a folder of its own goes with that.
        const beside = journal.madeFolder ? made.filter((path) => !path.startsWith(`${directory}/`)) : made;
        if (beside.length === 0) return;
        journal = { ...journal, made: beside };
        await task.journal(journal);
      };
      const applied = await applyEffects(core, { datastore, vmxPath, configuration, effects, disks, task, planned });
      const vmx = VmxFile.empty();
      if (vApp !== undefined) await writeVApp(datastore, vmxPath, vApp);
      const nvram = vmxName.replace(/\.vmx$/i, '.nvram');
      writeConfiguration(vmx, { ...applied.configuration, nvram, hasVApp: vApp !== undefined }, core.guestOs);
      await writeVmx(datastore, vmxPath, vmx);
      const record = await registered(core, {
        task,
        datastore,
        vmxPath,
        event: 'VmCreatedEvent',
        held: disks === 'upload',
        pool,
      });
      return { record, uploads: applied.uploads, abroad: disks === 'upload' ? applied.made : [] };
    } catch (error) {
      await undoCreate(core, journal);
      // What the operating system says names paths of the host.
      const ofSystem = error instanceof Error && 'errno' in error;
      throw ofSystem ? fileFault(error, datastore.format(vmxPath), datastore.name) : error;
    }
  } finally {
    releasePlace();
    releaseName();
  }
}

/** The event names what was asked for, never a secret in it. */
function withoutSecrets(spec: VirtualMachineConfigSpec): VirtualMachineConfigSpec {
  const { vAppConfig, extraConfig, ...rest } = spec;
  return { _typeName: 'VirtualMachineConfigSpec', ...rest };
}

export async function undoCreate(core: HostCore, journal: CreateJournal): Promise<void> {
  const { folder, vmxPath, madeFolder, hasVApp, made } = journal;
  const datastore = core.datastores.byUuid(journal.datastore);
  if (datastore === undefined) return;
  // A machine that came into the folder meanwhile keeps it.
  const shared = [...core.machines.all()].some(
    (machine) => machine.datastore === datastore && `${machine.vmxPath}/`.startsWith(`${folder}/`),
  );
  await removeMade(made.filter((path) => !path.startsWith(`${datastore.directory}/`)));
  if (madeFolder && folder !== '' && !shared) {
    await rm(datastore.absolute(folder), { recursive: true, force: true });
    return;
  }
  for (const path of made) await rm(path, { force: true });
  await rm(datastore.absolute(vmxPath), { force: true });
  if (hasVApp) await writeVApp(datastore, vmxPath, undefined);
}

async function registerMachine(
  core: HostCore,
  task: RunningTask,
  input: RegisterInput,
): Promise<ManagedObjectReference<'VirtualMachine'>> {
  const { datastore, path } = core.datastores.parseOfTask(input.path);
  if (!path.toLowerCase().endsWith('.vmx'))
    throw fault('InvalidDatastorePath', { datastorePath: input.path }, `${input.path} names no .vmx file.`);
  const known = core.machines.at(datastore.uuid, path);
  const already = (name: string) =>
    fault('AlreadyExists', { name }, `${input.path} is registered already as '${name}'.`);
  if (known !== undefined) throw already(known.configuration.name);
  const releasePlace = core.claims.take([claimOf.place(datastore.uuid, path)], task.ref, () => already(path));
  let releaseName = () => {};
  try {
    if (!(await exists(await resolveInRoot(datastore, path)))) throw faults.notFound(input.path);
    let found: Awaited<ReturnType<typeof readMachine>>;
    try {
      found = await readMachine(core, datastore, path);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw fault('InvalidVmConfig', {}, message, { cause: error });
    }
    releaseName = claimName(core, task, input.name ?? found.configuration.name);
    const vmx = await readVmx(datastore, path);
    const runtime = await suspendedInFolder({ datastore, vmxPath: path }, vmx);
    if (input.asTemplate && runtime !== undefined)
      throw fault('InvalidVmConfig', {}, `${input.path} is suspended: its memory is to go on, which no template does.`);
    // What it is registered as, it is: its folder says so from now on.
    if (found.configuration.template !== input.asTemplate) {
      await writeVmx(datastore, path, vmx.set('template', input.asTemplate ? 'TRUE' : 'FALSE'));
    }
    const record = await registered(core, {
      task,
      datastore,
      vmxPath: path,
      event: 'VmRegisteredEvent',
      name: input.name,
      held: false,
      pool: input.pool,
      ...(runtime === undefined ? {} : { runtime }),
    });
    return record.ref;
  } finally {
    releaseName();
    releasePlace();
  }
}

async function registered(core: HostCore, registration: Registration): Promise<MachineRecord> {
  const [record] = await registerMachines(core, [registration]);
  return record as MachineRecord;
}

/** Deletes a machine and its files; begun, it is carried on after a restart. */
async function destroyMachine(core: HostCore, task: RunningTask, machine: MachineRecord): Promise<void> {
  mustBeOff(machine);
  let doomed = task.journaled as DoomedFiles | undefined;
  if (doomed === undefined && machine.problem === undefined) {
    doomed = await filesOf(core, machine);
    await task.journal(doomed);
  }
  if (doomed !== undefined) await deleteDoomed(core, doomed);
  await removeMachine(core, machine, task.userName);
}
