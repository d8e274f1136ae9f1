import { rm } from 'node:fs/promises';
import { growMachineDisk, machineDiskFiles } from '@hypostyle/services';
import {
  actingUser,
  type Call,
  type Draft,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { applySpec, machineName } from '../../configuration/apply-spec.ts';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import { checkFiles } from '../../configuration/refused-members.ts';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { HostCore } from '../../host-core.ts';
import { applyVApp } from '../../vapp/apply-vapp.ts';
import { writeVApp } from '../../vapp/vapp-file.ts';
import { applyEffects, type DiskGrowth, type DoomedDisk, destroyDisks, doomedDisks } from '../files/disk-effects.ts';
import { readVmx, writeVmx } from '../files/machine-files.ts';
import { checkDuplicate, claimName, mustBeFree, specContext } from '../lifecycle/lifecycle-work.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { putMachine, readMachine } from '../registration/registration.ts';

interface ReconfigureInput {
  readonly id: string;
  readonly spec: VirtualMachineConfigSpec;
}

/** Files that a reconfiguration makes, absolute, and disks that it deletes once nothing names them. */
interface ReconfigureJournal {
  readonly made: readonly string[];
  readonly destroyed: readonly DoomedDisk[];
  /** Disks that become larger once the configuration is written. */
  readonly growths?: readonly DiskGrowth[];
}

export interface ReconfigureWork {
  /** Of the called machine unless told. */
  reconfigure(
    call: Call,
    spec: VirtualMachineConfigSpec,
    ref?: ManagedObjectReference,
  ): Promise<ManagedObjectReference<'Task'>>;
  rename(call: Call, name: string): Promise<ManagedObjectReference<'Task'>>;
}

/** Members that may change while the machine runs: they are no hardware. */
const liveMembers = new Set([
  '_typeName',
  'changeVersion',
  'name',
  // The name that a center knows the machine by: no engine has it.
  'instanceUuid',
  'annotation',
  'createDate',
  'locationId',
  'managedBy',
  'consolePreferences',
  'maxMksConnections',
  'guestAutoLockEnabled',
  'swapPlacement',
  'files',
  'extraConfig',
  // The guest hears of it at its next start.
  'vAppConfig',
  'vAppConfigRemoved',
  'bootOptions',
  'tools',
  'powerOpInfo',
  'flags',
  // It begins with the next start, or the next snapshot.
  'changeTrackingEnabled',
]);

export function defineReconfigureWork(core: HostCore): ReconfigureWork {
  const reconfigure = core.tasks.define<ReconfigureInput>('VirtualMachine.reconfigure', {
    method: 'ReconfigVM_Task',
    run: async (task, { id, spec }) => changeMachine(core, task, id, spec),
    resume: async (task, { id }) => {
      await settleFiles(core, id, task.journaled as ReconfigureJournal | undefined);
      throw fault(
        'SystemError',
        { reason: 'interrupted' },
        'The management service restarted while the machine was being reconfigured. Look at its configuration, and reconfigure it again if need be.',
      );
    },
  });
  const rename = core.tasks.define<{ readonly id: string; readonly name: string }>('ManagedEntity.rename', {
    method: 'Rename_Task',
    run: async (task, { id, name }) => changeMachine(core, task, id, { name }),
    resume: async (task, { id, name }) => changeMachine(core, task, id, { name }),
  });
  return {
    reconfigure: (call, spec, ref = call.self.ref) => {
      const machine = core.machines.get(ref);
      mustBeFree(core, machine);
      checkState(machine, spec);
      checkFiles(spec, machine.datastore.format(machine.vmxPath));
      applySpec(machine.configuration, spec, specContext(core));
      applyVApp(machine.vApp, spec);
      return reconfigure(call, { input: { id: machine.id, spec }, entity: machine.ref, queueKey: machine.id });
    },
    rename: (call, newName) => {
      const name = machineName(newName);
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      if (machine.configuration.name !== name) checkDuplicate(core, name, actingUser(call));
      return rename(call, { input: { id: machine.id, name }, queueKey: machine.id });
    },
  };
}

function checkState(machine: MachineRecord, spec: VirtualMachineConfigSpec): void {
  if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
  if (spec.changeVersion !== undefined && spec.changeVersion !== '' && spec.changeVersion !== machine.modified) {
    throw fault('ConcurrentAccess', {}, 'The configuration was changed after it was read; read it again.');
  }
  if (machine.powerState === 'poweredOff') return;
  const hardware = Object.entries(spec).find(([member, value]) => value !== undefined && !liveMembers.has(member));
  if (hardware !== undefined) throw invalidPowerState(machine, 'poweredOff');
}

/** What the `.vmx` names was finished; what it does not name was being made, or is to be deleted. */
async function settleFiles(core: HostCore, id: string, journal: ReconfigureJournal | undefined): Promise<void> {
  const machine = core.machines.find(id);
  if (journal === undefined || machine === undefined) return;
  // Without its `.vmx` nobody knows what it names, and nothing is deleted.
  const { datastore, vmxPath, configuration } = machine;
  if (machine.problem !== undefined) return;
  const named = new Set<string>();
  for (const disk of configuration.disks) {
    const path = datastore.relative(vmxPath, disk.fileName);
    if (path !== undefined) for (const file of machineDiskFiles(datastore, path)) named.add(file);
  }
  for (const path of journal.made) if (!named.has(path)) await rm(path, { force: true });
  await growDisks(machine, journal.growths ?? []);
  const gone = journal.destroyed.filter((disk) => !named.has(disk.path));
  await destroyDisks(core, datastore, gone);
}

async function growDisks({ datastore }: MachineRecord, growths: readonly DiskGrowth[]): Promise<void> {
  for (const { path, capacityBytes } of growths) await growMachineDisk({ root: datastore, path, capacityBytes });
}

async function changeMachine(
  core: HostCore,
  task: RunningTask,
  id: string,
  spec: VirtualMachineConfigSpec,
): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  const { name } = spec;
  const release = name === undefined || name === machine.configuration.name ? undefined : claimName(core, task, name);
  try {
    await change(core, task, machine, spec);
  } finally {
    release?.();
  }
}

async function change(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  spec: VirtualMachineConfigSpec,
): Promise<void> {
  const { id } = machine;
  checkState(machine, spec);
  const { datastore, vmxPath } = machine;
  const vmx = await readVmx(datastore, vmxPath);
  const found = configurationFromVmx(vmx, core.guestOs, machine.configuration.name);
  const applied = applySpec({ ...found, name: machine.configuration.name }, spec, specContext(core));
  const vApp = applyVApp(machine.vApp, spec);
  const vAppChanges = spec.vAppConfig !== undefined || spec.vAppConfigRemoved === true;
  const destroyed = await doomedDisks(datastore, vmxPath, applied.effects);
  if (destroyed.length > 0) await task.journal({ made: [], destroyed } satisfies ReconfigureJournal);
  const effected = await applyEffects(core, {
    datastore,
    vmxPath,
    configuration: applied.configuration,
    effects: applied.effects,
    disks: 'create',
    task,
    planned: (made) => task.journal({ made, destroyed } satisfies ReconfigureJournal),
  });
  try {
    if (vAppChanges && vApp !== undefined) await writeVApp(datastore, vmxPath, vApp);
    const hasVApp = vAppChanges ? vApp !== undefined : found.hasVApp;
    writeConfiguration(vmx, { ...effected.configuration, hasVApp }, core.guestOs);
    if (effected.growths.length > 0)
      await task.journal({ made: effected.made, destroyed, growths: effected.growths } satisfies ReconfigureJournal);
    await writeVmx(datastore, vmxPath, vmx);
    await growDisks(machine, effected.growths);
    if (vAppChanges && vApp === undefined) await writeVApp(datastore, vmxPath, undefined);
  } catch (error) {
    if (vAppChanges && machine.vApp !== undefined) await writeVApp(datastore, vmxPath, machine.vApp).catch(() => {});
    for (const path of effected.made) await rm(path, { force: true });
    throw error;
  }
  await core.store.transact([
    putMachine({
      id,
      datastore: datastore.uuid,
      vmxPath,
      created: spec.createDate ?? machine.created,
    }),
  ]);
  if (machine.configuration.changeTracking && !effected.configuration.changeTracking) {
    await core.changes.end(id);
    await core.changes.removeImages(id);
  }
  const now = await readMachine(core, datastore, vmxPath);
  core.registry.commit((draft) => {
    core.machines.change(id, { ...now, created: spec.createDate ?? machine.created }, draft);
    core.inventory.networksChanged(draft);
    if (now.configuration.name !== machine.configuration.name) {
      task.post(draft, {
        type: 'VmRenamedEvent',
        entity: machine.ref,
        members: { oldName: machine.configuration.name, newName: now.configuration.name },
      });
    }
    tellInstanceUuid(core, task, draft, machine, now.configuration.instanceUuid);
    task.post(draft, {
      type: 'VmReconfiguredEvent',
      entity: machine.ref,
      members: { configSpec: withoutSecrets(spec) },
    });
  });
  await destroyDisks(core, datastore, destroyed);
}

/** Two machines of one instance UUID are allowed, as copies of a folder have it, and told. */
function tellInstanceUuid(
  core: HostCore,
  task: RunningTask,
  draft: Draft,
  { id, ref, configuration: { instanceUuid: before } }: MachineRecord,
  now: string,
): void {
  if (now === before) return;
  const { type, members } =
    before === ''
      ? { type: 'VmInstanceUuidAssignedEvent' as const, members: { instanceUuid: now } }
      : {
          type: 'VmInstanceUuidChangedEvent' as const,
          members: { oldInstanceUuid: before, newInstanceUuid: now },
        };
  task.post(draft, { type, entity: ref, members });
  for (const other of core.machines.all()) {
    if (other.id === id || other.configuration.instanceUuid !== now) continue;
    const conflictedVm = { _typeName: 'VmEventArgument', name: other.configuration.name, vm: other.ref };
    task.post(draft, {
      type: 'VmInstanceUuidConflictEvent',
      entity: ref,
      members: { conflictedVm, instanceUuid: now },
    });
  }
}

function withoutSecrets({ vAppConfig, extraConfig, ...rest }: VirtualMachineConfigSpec): VirtualMachineConfigSpec {
  return { _typeName: 'VirtualMachineConfigSpec', ...rest };
}
