import { access, mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { faults, joinPath, resolveInRoot, splitPath } from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { applySpec, invalid, machineName, newConfiguration } from '../configuration/apply-spec.ts';
import type { SpecContext } from '../configuration/device-draft.ts';
import { writeConfiguration } from '../configuration/to-vmx.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { HostCore } from '../host-core.ts';
import { applyVApp } from '../vapp/apply-vapp.ts';
import { vAppPath, writeVApp } from '../vapp/vapp-file.ts';
import { VmxFile } from '../vmx/vmx-file.ts';
import { applyEffects, type DiskUpload } from './disk-effects.ts';
import { addMachineObject } from './machine-entry.ts';
import { deleteFiles, syncFolder, writeVmx } from './machine-files.ts';
import type { MachineRecord } from './machine-record.ts';
import { runDirectoryOf } from './power-on.ts';
import { deleteMachine, loadMachine, type MachineDocument, putMachine, readMachine } from './registration.ts';

export interface CreatedMachine {
  readonly record: MachineRecord;
  /** Disks whose bytes are still to come. */
  readonly uploads: readonly DiskUpload[];
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
interface CreateJournal {
  readonly datastore: string;
  readonly folder: string;
  /** False when the client's own folder was there before. */
  readonly madeFolder: boolean;
  readonly vmxPath: string;
  /** The machine has a vApp configuration, which is made with it. */
  readonly hasVApp: boolean;
}

export function specContext(core: HostCore): SpecContext {
  return {
    guestOs: core.guestOs,
    limits: core.limits,
    networkExists: (name) => core.networks.find(name) !== undefined,
    networkName: (value) => core.networks.byReference(value)?.name,
  };
}

export function defineLifecycleWork(core: HostCore): LifecycleWork {
  const create = core.tasks.define<CreateInput>('Folder.createVm', {
    method: 'CreateVM_Task',
    run: async (task, input) => (await createMachine(core, task, input, 'create')).record.ref,
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
    run: async (task, input) => registerMachine(core, task, input),
    resume: async (task, input) => {
      const { datastore, path } = core.datastores.parse(input.path);
      return core.machines.at(datastore.uuid, path)?.ref ?? registerMachine(core, task, input);
    },
  });
  const destroyWork = async (task: RunningTask, input: { readonly id: string }) => {
    const machine = core.machines.find(input.id);
    if (machine !== undefined) await destroyMachine(core, task, machine);
  };
  const destroy = core.tasks.define<{ readonly id: string }>('VirtualMachine.destroy', {
    method: 'Destroy_Task',
    run: destroyWork,
    resume: destroyWork,
  });
  return {
    create: (call, input) => {
      checkCreate(core, input.spec);
      return create(call, { input, entity: call.self.ref });
    },
    register: (call, input) => register(call, { input, entity: call.self.ref }),
    destroy: (call) => {
      const machine = core.machines.get(call.self.ref);
      mustBeOff(machine);
      return destroy(call, { input: { id: machine.id }, queueKey: machine.id });
    },
    unregister: async (call) => {
      const machine = core.machines.get(call.self.ref);
      mustBeOff(machine);
      await removeMachine(core, machine, call.session?.userName);
      await core.events.flush();
    },
  };
}

function mustBeOff(machine: MachineRecord): void {
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
  await core.store.transact(deleteMachine(machine.id));
  await rmdir(runDirectoryOf(core, machine.id)).catch(() => {});
  core.registry.commit((draft) => {
    core.events.post(draft, { type: 'VmRemovedEvent', entity: machine.ref, userName });
    core.machines.delete(machine.id);
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

export function checkDuplicate(core: HostCore, name: string): void {
  const machine = core.machines.named(name);
  if (machine !== undefined)
    throw fault('DuplicateName', { name, object: machine.ref }, `The name '${name}' already exists.`);
}

/**
 * Makes a machine's folder, disks and `.vmx`, and registers it. Whatever fails, nothing stays. With `upload`, disks
 * with a file to come are left for the upload to make.
 */
export async function createMachine(
  core: HostCore,
  task: RunningTask,
  { spec }: CreateInput,
  disks: 'create' | 'upload',
): Promise<CreatedMachine> {
  const name = machineName(spec.name ?? '');
  checkDuplicate(core, name);
  const { configuration, effects } = applySpec(newConfiguration(name), spec, specContext(core));
  const vApp = applyVApp(undefined, spec);
  const { datastore, folder, vmxName } = await chooseFolder(core, spec.files?.vmPathName ?? '', name);
  const vmxPath = joinPath(folder, vmxName);
  const directory = datastore.absolute(folder);
  const madeFolder = !(await exists(directory));
  // What is there already is somebody's: it is refused before there is anything to take back.
  const paths = vApp === undefined ? [vmxPath] : [vmxPath, joinPath(folder, vAppPath)];
  for (const path of paths) if (await exists(datastore.absolute(path))) throw faults.exists(datastore.format(path));
  const journal: CreateJournal = {
    datastore: datastore.uuid,
    folder,
    madeFolder,
    vmxPath,
    hasVApp: vApp !== undefined,
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
    const applied = await applyEffects(core, { datastore, vmxPath, configuration, effects, disks, task });
    const vmx = VmxFile.empty();
    if (vApp !== undefined) await writeVApp(datastore, vmxPath, vApp);
    const nvram = vmxName.replace(/\.vmx$/i, '.nvram');
    writeConfiguration(vmx, { ...applied.configuration, nvram, hasVApp: vApp !== undefined }, core.guestOs);
    await writeVmx(datastore, vmxPath, vmx);
    const record = await register(core, task, datastore, vmxPath, 'VmCreatedEvent');
    return { record, uploads: applied.uploads };
  } catch (error) {
    await undoCreate(core, journal);
    throw error;
  }
}

/** The event names what was asked for, never a secret in it. */
function withoutSecrets(spec: VirtualMachineConfigSpec): VirtualMachineConfigSpec {
  const { vAppConfig, extraConfig, ...rest } = spec;
  return { _typeName: 'VirtualMachineConfigSpec', ...rest };
}

export async function undoCreate(core: HostCore, journal: CreateJournal): Promise<void> {
  const datastore = core.datastores.byUuid(journal.datastore);
  if (datastore === undefined) return;
  const directory = datastore.absolute(journal.folder);
  if (journal.madeFolder && journal.folder !== '') await rm(directory, { recursive: true, force: true });
  else {
    await rm(datastore.absolute(journal.vmxPath), { force: true });
    if (journal.hasVApp) await writeVApp(datastore, journal.vmxPath, undefined);
  }
}

/** Folder and `.vmx` for a new machine: what the client names, or a free folder of the machine's name. */
async function chooseFolder(
  core: HostCore,
  vmPathName: string,
  name: string,
): Promise<{ datastore: Datastore; folder: string; vmxName: string }> {
  const { datastore, path } = core.datastores.parse(vmPathName);
  if (path.toLowerCase().endsWith('.vmx')) {
    const { folder, name: vmxName } = splitPath(path);
    return { datastore, folder, vmxName };
  }
  const safe = name.replace(/[/\\:*?"<>|%\u0000-\u001f]/g, '_').replace(/^\.+/, '_');
  if (path !== '') return { datastore, folder: path, vmxName: `${safe}.vmx` };
  for (let number = 0; ; number += 1) {
    const folder = number === 0 ? safe : `${safe}_${number}`;
    if (!(await exists(datastore.absolute(folder)))) return { datastore, folder, vmxName: `${safe}.vmx` };
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function registerMachine(
  core: HostCore,
  task: RunningTask,
  input: RegisterInput,
): Promise<ManagedObjectReference<'VirtualMachine'>> {
  const { datastore, path } = core.datastores.parse(input.path);
  if (!path.toLowerCase().endsWith('.vmx'))
    throw fault('InvalidDatastorePath', { datastorePath: input.path }, `${input.path} names no .vmx file.`);
  const known = core.machines.at(datastore.uuid, path);
  if (known !== undefined)
    throw fault(
      'AlreadyExists',
      { name: known.configuration.name },
      `${input.path} is registered already as '${known.configuration.name}'.`,
    );
  if (!(await exists(await resolveInRoot(datastore, path)))) throw faults.notFound(input.path);
  let found: Awaited<ReturnType<typeof readMachine>>;
  try {
    found = await readMachine(core, datastore, path);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw fault('InvalidVmConfig', {}, message, { cause: error });
  }
  checkDuplicate(core, input.name ?? found.configuration.name);
  const record = await register(core, task, datastore, path, 'VmRegisteredEvent', input.name);
  return record.ref;
}

async function register(
  core: HostCore,
  task: RunningTask,
  datastore: Datastore,
  vmxPath: string,
  event: 'VmCreatedEvent' | 'VmRegisteredEvent',
  name?: string,
): Promise<MachineRecord> {
  const id = String(await core.inventory.nextMachineId());
  const document: MachineDocument = {
    id,
    datastore: datastore.uuid,
    vmxPath,
    resourcePool: core.rootPool.value,
    created: event === 'VmCreatedEvent' ? new Date().toISOString() : undefined,
    ...(name === undefined ? {} : { name }),
  };
  const record = await loadMachine(core, document, undefined, core.rootPool);
  await core.store.transact([putMachine(document)]);
  core.registry.commit((draft) => {
    core.machines.insert(record);
    addMachineObject(core, draft, record);
    core.inventory.refresh(draft);
    task.post(draft, { type: event, entity: record.ref });
  });
  return record;
}

/** Deletes a machine and its files; begun, it is carried on after a restart. */
async function destroyMachine(core: HostCore, task: RunningTask, machine: MachineRecord): Promise<void> {
  mustBeOff(machine);
  if (machine.problem === undefined) await deleteFiles(machine.datastore, machine.vmxPath, machine.disks);
  await removeMachine(core, machine, task.userName);
}
