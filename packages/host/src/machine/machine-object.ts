import {
  entityPerSession,
  requireForDestroy,
  requireForPool,
  requireForReconfigure,
  requireForRelocate,
  requireForRename,
  requirePrivilege,
} from '@hypostyle/services';
import {
  actingUser,
  fault,
  type ManagedObject,
  type ManagedObjectClass,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { privilegeScope } from '../managed/privilege-scope.ts';
import { isCenter } from '../management/center-account.ts';
import { configInfo } from '../projection/config-info.ts';
import { resourceConfig } from '../projection/resource-config.ts';
import {
  fileLayout,
  guestInfo,
  heartbeat,
  machineCapability,
  machineSummary,
  oldFileLayout,
  runtimeInfo,
  storageInfo,
} from '../projection/runtime-info.ts';
import { rootSnapshots, snapshotInfo } from '../projection/snapshot-info.ts';
import { queryChangedAreas } from './changes/query-areas.ts';
import type { CloneWork } from './clone/clone-work.ts';
import type { PromoteWork } from './clone/promote-work.ts';
import type { RelocateWork } from './clone/relocate-work.ts';
import type { ConsoleTickets } from './console/console-tickets.ts';
import { keyStrokes } from './console/scan-codes.ts';
import { runningEngine, type ScreenshotWork } from './console/screenshots.ts';
import type { CustomizeWork } from './customize/customize-work.ts';
import { type DiskTickets, isDiskTicket } from './export/disk-tickets.ts';
import type { ExportWork } from './export/export-work.ts';
import { type FolderTickets, isFolderTicket } from './export/folder-tickets.ts';
import { refreshFiles } from './files/refresh-files.ts';
import type { LifecycleWork } from './lifecycle/lifecycle-work.ts';
import type { TemplateWork } from './lifecycle/template-work.ts';
import { invalidPowerState, type PowerWork } from './power/power-work.ts';
import type { ReconfigureWork } from './reconfigure/reconfigure-work.ts';
import { otherDatastores } from './record/held-files.ts';
import type { MachineRecord } from './record/machine-record.ts';
import { quiesceOf } from './snapshot/quiesce-spec.ts';
import { parseSnapshotReference } from './snapshot/snapshot-reference.ts';
import type { SnapshotWork } from './snapshot/snapshot-work.ts';
import type { ToolsWork } from './tools/tools-work.ts';
import { unavailableMethods } from './unavailable-methods.ts';

export interface MachineWork {
  readonly power: PowerWork;
  readonly lifecycle: LifecycleWork;
  readonly cloning: CloneWork;
  readonly templates: TemplateWork;
  readonly customizing: CustomizeWork;
  readonly relocating: RelocateWork;
  readonly promoting: PromoteWork;
  readonly reconfigure: ReconfigureWork;
  readonly tools: ToolsWork;
  readonly exporting: ExportWork;
  readonly snapshots: SnapshotWork;
  readonly consoles: ConsoleTickets;
  readonly screenshots: ScreenshotWork;
  readonly diskTickets: DiskTickets;
  readonly folderTickets: FolderTickets;
}

/** VirtualMachine: its methods hand on to the work of each family, its properties are projections of the record. */
export function machineClass(core: HostCore, work: MachineWork): ManagedObjectClass<'VirtualMachine'> {
  const record = (self: ManagedObject): MachineRecord => core.machines.get(self.ref);
  const capability = machineCapability(core.hypervisorInfo.capabilities);
  const scope = privilegeScope(core);
  return {
    type: 'VirtualMachine',
    perSession: entityPerSession(core.authorizer),
    derived: {
      name: { from: [], compute: (self) => record(self).configuration.name },
      // A template is in none: it uses nothing.
      resourcePool: {
        from: ['config'],
        compute: (self) => (record(self).configuration.template ? undefined : record(self).resourcePool),
      },
      capability: { from: [], compute: () => capability },
      config: { from: [], compute: (self) => configInfo(record(self), core.names) },
      runtime: { from: [], compute: (self) => runtimeInfo(record(self), core.names, core.hostMHz) },
      guest: { from: ['config'], compute: (self) => guestInfo(record(self), core.names) },
      layoutEx: { from: [], compute: (self) => fileLayout(record(self)) },
      snapshot: { from: [], compute: (self) => snapshotInfo(record(self)) },
      rootSnapshot: { from: [], compute: (self) => rootSnapshots(record(self)) },
      layout: { from: ['layoutEx'], compute: (self) => oldFileLayout(record(self)) },
      resourceConfig: { from: ['config'], compute: (self) => resourceConfig(record(self)) },
      storage: { from: [], compute: (self) => storageInfo(record(self), datastoresOf(core, record(self))) },
      summary: {
        from: ['config', 'runtime', 'guest', 'storage'],
        compute: (self) => {
          const machine = record(self);
          return machineSummary(
            machine,
            core.names,
            runtimeInfo(machine, core.names, core.hostMHz),
            guestInfo(machine, core.names),
          );
        },
      },
      overallStatus: { from: ['runtime'], compute: (self) => overallStatus(record(self)) },
      guestHeartbeatStatus: { from: ['guest'], compute: (self) => heartbeat(record(self)) },
      datastore: { from: [], compute: (self) => datastoresOf(core, record(self)) },
      network: { from: [], compute: (self) => networksOf(core, record(self)) },
    },
    methods: {
      PowerOnVM_Task: (call) => work.power.powerOn(call),
      PowerOffVM_Task: (call) => work.power.powerOff(call),
      SuspendVM_Task: (call) => work.power.suspend(call),
      ResetVM_Task: (call) => work.power.reset(call),
      ShutdownGuest: (call) => work.power.shutdownGuest(call),
      RebootGuest: (call) => work.power.rebootGuest(call),
      AnswerVM: (call, { questionId, answerChoice }) => work.power.answer(call, questionId, answerChoice),
      StandbyGuest: (call) => work.power.standbyGuest(call),
      ReconfigVM_Task: (call, { spec }) => {
        requireForReconfigure(scope, call, call.self.ref, spec);
        return work.reconfigure.reconfigure(call, spec);
      },
      Rename_Task: (call, { newName }) => {
        requireForRename(scope, call, call.self.ref);
        return work.reconfigure.rename(call, newName);
      },
      Destroy_Task: (call) => {
        requireForDestroy(scope, call, call.self.ref);
        return work.lifecycle.destroy(call);
      },
      CloneVM_Task: (call, { name, spec }) => {
        // As other hosts have it: names, folders and rights of clones are its center's.
        if (!isCenter(call.session?.userName ?? ''))
          throw fault('NotSupported', {}, 'A host clones machines for its center only; ask that.');
        return work.cloning.clone(call, record(call.self), name, spec);
      },
      InstantClone_Task: (call, { spec }) => {
        if (!isCenter(call.session?.userName ?? ''))
          throw fault('NotSupported', {}, 'A host clones machines for its center only; ask that.');
        return work.cloning.instantClone(call, record(call.self), spec);
      },
      RelocateVM_Task: (call, { spec }) => {
        requireForRelocate(scope, call, call.self.ref, spec);
        return work.relocating.relocate(call, spec);
      },
      CustomizeVM_Task: (call, { spec }) => work.customizing.customize(call, spec),
      CheckCustomizationSpec: (call, { spec }) => work.customizing.check(call, spec),
      PromoteDisks_Task: (call, { disks }) => work.promoting.promote(call, disks),
      MarkAsTemplate: (call) => work.templates.markAsTemplate(call),
      MarkAsVirtualMachine: (call, { pool, host }) => {
        requireForPool(scope, call, pool);
        return work.templates.markAsMachine(call, { pool, host });
      },
      CreateSnapshot_Task: (call, { name, description = '', memory, quiesce }) =>
        work.snapshots.create(call, { name, description, memory, quiesce }),
      CreateSnapshotEx_Task: (call, { name, description = '', memory, quiesceSpec }) =>
        work.snapshots.create(call, { name, description, memory, ...quiesceOf(quiesceSpec) }),
      RevertToCurrentSnapshot_Task: (call, { host, suppressPowerOn }) =>
        work.snapshots.revertToCurrent(call, { host, suppressPowerOn: suppressPowerOn ?? false }),
      RemoveAllSnapshots_Task: (call, { consolidate, spec }) =>
        work.snapshots.removeAll(call, { consolidate: consolidate ?? true, spec }),
      ConsolidateVMDisks_Task: (call) => work.snapshots.consolidate(call),
      ExportVm: async (call) => {
        const subject = { kind: 'machine', writable: false } as const;
        return (await work.exporting.begin(call, record(call.self), subject)).ref;
      },
      QueryChangedDiskAreas: (call, { snapshot, deviceKey, startOffset, changeId }) => {
        const machine = record(call.self);
        const question = { key: deviceKey, startOffset: Number(startOffset), changeId };
        return queryChangedAreas(core, machine, { ...question, snapshot: snapshotOf(machine, snapshot) });
      },
      UnregisterVM: (call) => work.lifecycle.unregister(call),
      AcquireTicket: (call, { ticketType }) => {
        if (isDiskTicket(ticketType)) return work.diskTickets.acquire(call, record(call.self), ticketType);
        if (isFolderTicket(ticketType)) return work.folderTickets.acquire(call, record(call.self), ticketType);
        requirePrivilege(core, call, call.self.ref, 'VirtualMachine.Interact.ConsoleInteract');
        const ticket = work.consoles.acquire(record(call.self), ticketType);
        core.events.post(undefined, {
          type: 'VmAcquiredTicketEvent',
          entity: call.self.ref,
          userName: actingUser(call),
          members: { ticketType },
        });
        return ticket;
      },
      AcquireMksTicket: () => {
        throw fault('NotSupported', {}, 'Tickets of type mks are not given here; ask AcquireTicket for webmks.');
      },
      CreateScreenshot_Task: (call) => work.screenshots.create(call),
      PutUsbScanCodes: async (call, { spec }) => {
        const strokes = keyStrokes(spec);
        const engine = core.machines.engine(record(call.self).id);
        // The interface names no fault of its own for a machine that is off.
        if (engine === undefined) throw fault('NotSupported', {}, 'The machine is not powered on.');
        await engine.pressKeys(strokes);
        return strokes.length;
      },
      SendNMI: async (call) => {
        await runningEngine(core, record(call.self)).raiseNmi();
      },
      UpgradeVM_Task: (call, { version }) => work.reconfigure.upgrade(call, version),
      TerminateVM: (call) => work.power.terminate(call),
      ResetGuestInformation: (call) => {
        const machine = record(call.self);
        if (machine.powerState === 'poweredOn') throw invalidPowerState(machine, 'poweredOff');
        core.machines.change(machine.id, { guest: undefined });
      },
      ExtractOvfEnvironment: (call) => {
        const { powerState, guestEnvironment } = record(call.self);
        if (powerState !== 'poweredOn' || guestEnvironment === undefined)
          throw fault(
            'InvalidState',
            {},
            'The machine does not run with an OVF environment that its guest is told of.',
          );
        return guestEnvironment;
      },
      // Files have no owner beside the host: there is none of another.
      QueryUnownedFiles: () => [],
      // Disks are flat, or thin with holes: nothing lies in another order than the guest has it.
      DefragmentAllDisks: (call) => {
        const machine = record(call.self);
        if (machine.powerState !== 'poweredOff') throw invalidPowerState(machine, 'poweredOff');
      },
      MountToolsInstaller: (call) => work.tools.mount(call),
      UnmountToolsInstaller: (call) => work.tools.unmount(call),
      ...unavailableMethods(core, (call) => record(call.self)),
      RefreshStorageInfo: (call) => refreshFiles(core, call.self.ref.value),
      Reload: () => {},
    },
  };
}

/** The uid of a snapshot of the machine. Throws NotFound for one of another. */
function snapshotOf({ id }: MachineRecord, ref: ManagedObjectReference | undefined): number | undefined {
  if (ref === undefined) return undefined;
  const { machineId, uid } = parseSnapshotReference(ref);
  if (machineId !== id) throw fault('NotFound', {}, 'The snapshot is of another machine.');
  return uid;
}

/** Those that it has files on, its own first; without one that was taken out of the host. */
function datastoresOf(core: HostCore, machine: MachineRecord) {
  const all = [machine.datastore, ...otherDatastores(machine)];
  return all.filter(({ uuid }) => core.datastores.byUuid(uuid) !== undefined).map(({ ref }) => ref);
}

function overallStatus({ problem, vAppProblem }: MachineRecord): 'green' | 'yellow' | 'red' {
  if (problem !== undefined) return 'red';
  return vAppProblem === undefined ? 'green' : 'yellow';
}

function networksOf(core: HostCore, machine: MachineRecord) {
  const names = new Set(machine.configuration.nics.map((nic) => nic.networkName));
  return [...names].flatMap((name) => core.networks.find(name)?.ref ?? []);
}
