import { rm } from 'node:fs/promises';
import { deltaFiles, machineDiskFiles } from '@hypostyle/services';
import {
  actingUser,
  type Call,
  type Draft,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { type AppliedSpec, applySpec, machineName } from '../../configuration/apply-spec.ts';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { checkFiles } from '../../configuration/refused-members.ts';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { HostCore } from '../../host-core.ts';
import { admitReservations } from '../../resources/admission.ts';
import { applyVApp } from '../../vapp/apply-vapp.ts';
import { writeVApp } from '../../vapp/vapp-file.ts';
import { engineFound } from '../engine/engine-found.ts';
import {
  applyEffects,
  type DiskGrowth,
  type DoomedDisk,
  destroyDisks,
  doomedDisks,
  removeMade,
} from '../files/disk-effects.ts';
import { readVmx, writeVmx } from '../files/machine-files.ts';
import { checkDuplicate, claimName, mustBeFree, specContext } from '../lifecycle/lifecycle-work.ts';
import { withIdentity } from '../power/power-on.ts';
import { invalidPowerState } from '../power/power-work.ts';
import { tellIdentity, tellReallocated } from '../record/identity-events.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { putMachine, readMachine, saveRuntime } from '../registration/registration.ts';
import { letToolsGo } from '../tools/let-tools-go.ts';
import {
  changeEngine,
  connectionsOf,
  digestOf,
  forgetFormer,
  growDisks,
  keepFormer,
  readyDisks,
  tellEngine,
} from './change-engine.ts';
import { checkHotChange } from './hot-change.ts';

/** Newest virtual hardware that is built. */
const newestHardware = 'vmx-21';

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
  /** Digest of the `.vmx` once it is written: from then on the change is brought to its end. */
  readonly written?: string;
}

export interface ReconfigureWork {
  /** Of the called machine unless told. */
  reconfigure(
    call: Call,
    spec: VirtualMachineConfigSpec,
    ref?: ManagedObjectReference,
  ): Promise<ManagedObjectReference<'Task'>>;
  rename(call: Call, name: string): Promise<ManagedObjectReference<'Task'>>;
  /** To a newer virtual hardware, such as `vmx-20`; the newest unless told. AlreadyUpgraded. */
  upgrade(call: Call, version: string | undefined): Promise<ManagedObjectReference<'Task'>>;
}

export function defineReconfigureWork(core: HostCore): ReconfigureWork {
  const reconfigure = core.tasks.define<ReconfigureInput>('VirtualMachine.reconfigure', {
    method: 'ReconfigVM_Task',
    run: async (task, { id, spec }) => changeMachine(core, task, id, spec),
    resume: async (task, { id, spec }) => {
      await engineFound(core, task, id);
      const journal = task.journaled as ReconfigureJournal | undefined;
      // Made again, it says the same.
      if (journal === undefined && !isOnceOnly(spec)) return changeMachine(core, task, id, spec);
      if (await finishChange(core, task, id, spec, journal)) return;
      await settleFiles(core, id, journal);
      throw fault(
        'SystemError',
        { reason: 'interrupted' },
        changesVApp(spec)
          ? 'The management service restarted while the machine was being reconfigured. Look at its configuration, and reconfigure it again if need be.'
          : 'The management service restarted while the machine was being reconfigured; what had begun was taken back. Reconfigure it again.',
      );
    },
  });
  const rename = core.tasks.define<{ readonly id: string; readonly name: string }>('ManagedEntity.rename', {
    method: 'Rename_Task',
    run: async (task, { id, name }) => changeMachine(core, task, id, { name }),
    resume: async (task, { id, name }) => changeMachine(core, task, id, { name }),
  });
  const upgrade = core.tasks.define<{ readonly id: string; readonly version: string }>(
    'VirtualMachine.upgradeVirtualHardware',
    {
      method: 'UpgradeVM_Task',
      run: async (task, { id, version }) => upgradeMachine(core, task, id, version),
      resume: async (task, { id, version }) => upgradeMachine(core, task, id, version),
    },
  );
  return {
    upgrade: (call, wanted) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      const version = wanted === undefined || wanted === '' ? newestHardware : wanted;
      checkState(machine, { version });
      if (machine.powerState !== 'poweredOff') throw invalidPowerState(machine, 'poweredOff');
      const now = applySpec(machine.configuration, { version }, specContext(core)).configuration.hardwareVersion;
      if (now <= machine.configuration.hardwareVersion)
        throw fault(
          'AlreadyUpgraded',
          {},
          `The machine has virtual hardware ${machine.configuration.hardwareVersion} already.`,
        );
      return upgrade(call, { input: { id: machine.id, version }, queueKey: machine.id });
    },
    reconfigure: (call, spec, ref = call.self.ref) => {
      const machine = core.machines.get(ref);
      mustBeFree(core, machine);
      checkState(machine, spec);
      checkFiles(spec, machine.datastore.format(machine.vmxPath));
      const applied = applySpec(machine.configuration, spec, specContext(core));
      checkLive(core, machine, machine.configuration, applied, spec);
      checkReservations(core, machine, applied);
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

/** A start that was cut off after the configuration was written changes nothing a second time. */
async function upgradeMachine(core: HostCore, task: RunningTask, id: string, version: string): Promise<void> {
  const { ref: entity } = core.machines.get({ type: 'VirtualMachine', value: id });
  const tell = (type: 'VmUpgradingEvent' | 'VmUpgradeCompleteEvent') =>
    core.registry.commit((draft) => task.post(draft, { type, entity, members: { version } }));
  tell('VmUpgradingEvent');
  await changeMachine(core, task, id, { version });
  tell('VmUpgradeCompleteEvent');
}

function checkState(machine: MachineRecord, spec: VirtualMachineConfigSpec): void {
  if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
  if (spec.changeVersion !== undefined && spec.changeVersion !== '' && spec.changeVersion !== machine.modified) {
    throw fault('ConcurrentAccess', {}, 'The configuration was changed after it was read; read it again.');
  }
}

/** Whether an engine must be told; throws where a machine that is on or suspended cannot be changed so. */
function checkLive(
  core: HostCore,
  machine: MachineRecord,
  before: MachineConfiguration,
  { configuration: after, connections }: AppliedSpec,
  spec: VirtualMachineConfigSpec,
): boolean {
  if (machine.powerState === 'poweredOff') return false;
  const { hotPlug } = core.hypervisorInfo.capabilities;
  return checkHotChange(machine, { before, after, spec, connections, hotPlug });
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
    if (path === undefined) continue;
    const at = datastore.locate(path);
    const files = [...machineDiskFiles(at.datastore, at.path), ...deltaFiles(datastore.absolute(path))];
    for (const file of files) named.add(file);
  }
  await removeMade(journal.made.filter((path) => !named.has(path)));
  const gone = journal.destroyed.filter((disk) => !named.has(disk.path));
  await destroyDisks(core, datastore, gone);
}

/** A machine that runs takes what it reserves at once: its pool must have it. */
function checkReservations(core: HostCore, machine: MachineRecord, { configuration }: AppliedSpec): void {
  if (machine.powerState === 'poweredOn') admitReservations(core, machine, configuration, machine.configuration);
}

/** Says what is new in a machine that runs, and nobody holds it to. */
function tellUnenforced(
  core: HostCore,
  task: RunningTask,
  draft: Draft,
  machine: MachineRecord,
  now: MachineConfiguration,
) {
  if (machine.powerState !== 'poweredOn') return;
  const known = core.resources.unenforced(machine.configuration);
  for (const message of core.resources.unenforced(now)) {
    if (known.includes(message)) continue;
    task.post(draft, { type: 'GeneralVmWarningEvent', entity: machine.ref, members: { message } });
  }
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
  known: MachineRecord,
  spec: VirtualMachineConfigSpec,
): Promise<void> {
  checkState(known, spec);
  const drives = spec.deviceChange?.some(({ device }) => device._typeName === 'VirtualCdrom') === true;
  const machine = drives ? await letToolsGo(core, known) : known;
  const { id, datastore, vmxPath } = machine;
  const vmx = await readVmx(datastore, vmxPath);
  const original = vmx.toString();
  const found = configurationFromVmx(vmx, core.guestOs, machine.configuration.name);
  const before = { ...found, name: machine.configuration.name };
  const applied = applySpec(before, spec, specContext(core));
  const engine = core.machines.engine(id);
  const isLive = checkLive(core, machine, before, applied, spec) && engine !== undefined;
  checkReservations(core, machine, applied);
  const vApp = applyVApp(machine.vApp, spec);
  const vAppChanges = changesVApp(spec);
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
  const { growths } = effected;
  const made = [...effected.made];
  try {
    let configuration = effected.configuration;
    if (isLive) {
      const ready = await readyDisks(core, machine, withIdentity(configuration, core));
      configuration = ready.configuration;
      made.push(...ready.made);
    }
    if (vAppChanges && vApp !== undefined) await writeVApp(datastore, vmxPath, vApp);
    const hasVApp = vAppChanges ? vApp !== undefined : found.hasVApp;
    writeConfiguration(vmx, { ...configuration, hasVApp }, core.guestOs);
    if (isLive || isOnceOnly(spec)) {
      const written = digestOf(vmx);
      await task.journal({ made, destroyed, growths, written } satisfies ReconfigureJournal);
    }
    if (isLive) await keepFormer(machine, original);
    await writeVmx(datastore, vmxPath, vmx);
    if (isLive) await changeEngine(core, machine, engine, applied.connections);
    if (vAppChanges && vApp === undefined) await writeVApp(datastore, vmxPath, undefined);
  } catch (error) {
    if (vAppChanges && machine.vApp !== undefined)
      await writeVApp(datastore, vmxPath, machine.vApp).catch((again: unknown) =>
        core.onDefect('a change taken back', again),
      );
    await removeMade(made);
    await forgetFormer(machine);
    throw error;
  }
  await conclude(core, task, machine, spec, { destroyed, growths, connections: applied.connections });
}

/** What is left to be done once the configuration is written and the engine has it. */
async function conclude(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  spec: VirtualMachineConfigSpec,
  rest: {
    readonly destroyed: readonly DoomedDisk[];
    readonly growths: readonly DiskGrowth[];
    readonly connections: ReadonlyMap<number, boolean>;
  },
): Promise<void> {
  const { id, datastore, vmxPath } = machine;
  const created = spec.createDate ?? machine.created;
  const connections = connectionsOf(machine, rest.connections);
  if (rest.connections.size > 0 && machine.powerState === 'poweredOn') {
    const { bootTime } = machine;
    await saveRuntime(core, id, { powerState: 'poweredOn', bootTime, connections: Object.fromEntries(connections) });
  }
  await core.store.transact([putMachine({ id, datastore: datastore.uuid, vmxPath, created })]);
  const grown = await growDisks(core, machine, rest.growths).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const written = await readMachine(core, datastore, vmxPath);
  await core.changes.reconfigured(id, machine, written, { grown: rest.growths.length > 0 });
  // What is known of changes is told by those who change it, in their turn.
  const { changes: _told, ...now } = await readMachine(core, datastore, vmxPath);
  core.registry.commit((draft) => {
    core.machines.change(id, { ...now, created, connections }, draft);
    core.inventory.networksChanged(draft);
    if (now.configuration.name !== machine.configuration.name) {
      task.post(draft, {
        type: 'VmRenamedEvent',
        entity: machine.ref,
        members: { oldName: machine.configuration.name, newName: now.configuration.name },
      });
    }
    tellUnenforced(core, task, draft, machine, now.configuration);
    const { configuration: before } = machine;
    // Two machines of one identifier are allowed, as copies of a folder have it, and told.
    tellIdentity(core, { task, draft }, machine, { before, now: now.configuration });
    tellReallocated({ task, draft }, machine, before, now.configuration);
    task.post(draft, {
      type: 'VmReconfiguredEvent',
      entity: machine.ref,
      members: { configSpec: withoutSecrets(spec) },
    });
  });
  await destroyDisks(core, datastore, rest.destroyed);
  await forgetFormer(machine);
  if (grown !== undefined) throw grown.error;
}

/** Brings a change to its end that a restart cut off after its configuration was written. False: it was not. */
async function finishChange(
  core: HostCore,
  task: RunningTask,
  id: string,
  spec: VirtualMachineConfigSpec,
  journal: ReconfigureJournal | undefined,
): Promise<boolean> {
  const machine = core.machines.find(id);
  if (machine === undefined || machine.problem !== undefined) return false;
  const engine = core.machines.engine(id);
  const { datastore, vmxPath } = machine;
  const current = digestOf(await readVmx(datastore, vmxPath));
  if (journal?.written !== current) {
    // The former configuration stands: the engine gets back what it may have lost.
    if (journal?.written !== undefined && engine !== undefined) await tellEngine(core, engine, machine, machine);
    await forgetFormer(machine);
    return false;
  }
  const { connections } = applySpec(machine.configuration, { ...spec, deviceChange: edits(spec) }, specContext(core));
  if (engine !== undefined) {
    await changeEngine(core, machine, engine, connections).catch(async (error: unknown) => {
      for (const path of journal.made) await rm(path, { force: true });
      const { changes: _told, ...now } = await readMachine(core, datastore, vmxPath);
      core.machines.change(id, now);
      throw error;
    });
  }
  const { destroyed, growths = [] } = journal;
  await conclude(core, task, machine, spec, { destroyed, growths, connections });
  return true;
}

/** Whether a change adds or removes something, so that it cannot be made a second time. */
function isOnceOnly(spec: VirtualMachineConfigSpec): boolean {
  return (spec.deviceChange ?? []).length > 0 || changesVApp(spec);
}

function changesVApp({ vAppConfig, vAppConfigRemoved }: VirtualMachineConfigSpec): boolean {
  return vAppConfig !== undefined || vAppConfigRemoved === true;
}

/** Changes that can be read a second time: whether devices are connected. */
function edits({ deviceChange = [] }: VirtualMachineConfigSpec) {
  return deviceChange.filter(
    ({ operation, device }) =>
      operation === 'edit' && device.connectable !== undefined && device._typeName !== 'VirtualDisk',
  );
}

function withoutSecrets({ vAppConfig, extraConfig, ...rest }: VirtualMachineConfigSpec): VirtualMachineConfigSpec {
  return { _typeName: 'VirtualMachineConfigSpec', ...rest };
}
