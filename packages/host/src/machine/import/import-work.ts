import {
  createMachineDisk,
  diskUploadTarget,
  fileUploadTarget,
  type ImportDevice,
  importDevices,
  joinPath,
  type LeasedContents,
  nvramKey,
  settlingTarget,
  splitPath,
  type TransferLeases,
  type TransferTarget,
} from '@hypostyle/services';
import {
  asFault,
  type Call,
  fault,
  type ImportSpec,
  isData,
  type ManagedObjectReference,
  type RunningTask,
  type VimFault,
  type VirtualDeviceConfigSpec,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { adapterOf, removeMade } from '../files/disk-effects.ts';
import { deleteDoomed, filesOf } from '../files/machine-removal.ts';
import { holdMachine } from '../lifecycle/hold-machine.ts';
import {
  type CreatedMachine,
  createMachine,
  type LifecycleWork,
  provisioning,
  removeMachine,
  undoCreate,
} from '../lifecycle/lifecycle-work.ts';
import { claimOf } from '../record/claims.ts';
import { readMachine } from '../registration/registration.ts';
import { settleVerify } from '../settle/settle-policy.ts';
import type { SettleWork } from '../settle/settle-work.ts';

export interface ImportWork {
  begin(call: Call, spec: ImportSpec): Promise<ManagedObjectReference<'HttpNfcLease'>>;
  createChild(call: Call, spec: VirtualMachineConfigSpec): Promise<ManagedObjectReference<'Task'>>;
  registerChild(call: Call, path: string, name: string | undefined): Promise<ManagedObjectReference<'Task'>>;
}

interface ImportInput {
  readonly spec: VirtualMachineConfigSpec;
  readonly pool: string;
}

/** The two sides of an import in this process: the task makes the machine, the lease receives its disks. */
interface Meeting {
  readonly machine: PromiseWithResolvers<LeasedContents>;
  readonly end: PromiseWithResolvers<void>;
  readonly cleaned: PromiseWithResolvers<void>;
  progress: (percent: number) => void;
}

/**
 * ImportVApp: a task that makes the machine, waits for the client to send its disks through a lease, and ends with the
 * lease. A lease does not survive the process that gave it, so after a restart the import is undone.
 */
export function defineImportWork(
  core: HostCore,
  lifecycle: LifecycleWork,
  leases: TransferLeases,
  settle: SettleWork,
): ImportWork {
  const byKey = new Map<string, Meeting>();
  let last = 0;
  const start = core.tasks.define<ImportInput & { readonly key: string }>('ResourcePool.ImportVAppLRO', {
    cancelable: true,
    run: async (task, input) => {
      const meeting = byKey.get(input.key);
      // A queued import found again after a restart: its client is gone.
      if (meeting === undefined) throw interrupted();
      try {
        const made = await provisioning(core, () => runImport(core, task, input, meeting));
        settle.begin(made.value);
        return made;
      } catch (error) {
        // The lease hears of an import that never began.
        meeting.machine.reject(asFault(error));
        meeting.cleaned.reject(error);
        meeting.cleaned.promise.catch(() => {});
        throw error;
      } finally {
        byKey.delete(input.key);
      }
    },
    resume: async (task) => {
      const made = wholeMachine(core, task);
      if (made !== undefined) {
        settle.begin(made.value);
        return made;
      }
      await undo(core, task);
      throw interrupted();
    },
  });
  return {
    begin: async (call, spec) => {
      if (!isData('VirtualMachineImportSpec', spec))
        throw fault('NotSupported', {}, 'A host imports single virtual machines; vApps are not supported here yet.');
      const meeting: Meeting = {
        machine: Promise.withResolvers(),
        end: Promise.withResolvers(),
        cleaned: Promise.withResolvers(),
        progress: () => {},
      };
      meeting.machine.promise.catch(() => {});
      meeting.end.promise.catch(() => {});
      last += 1;
      const key = String(last);
      byKey.set(key, meeting);
      try {
        await start(call, {
          input: { spec: spec.configSpec, pool: call.self.ref.value, key },
          entityName: spec.configSpec.name,
        });
      } catch (error) {
        byKey.delete(key);
        throw error;
      }
      const lease = leases.open({
        session: call.session,
        prepare: () => meeting.machine.promise,
        onProgress: (percent) => meeting.progress(percent),
        onComplete: async () => {
          meeting.end.resolve();
          await meeting.cleaned.promise;
        },
        onAbort: async (reason) => {
          meeting.end.reject(reason);
          await meeting.cleaned.promise.catch(() => {});
        },
      });
      return lease.ref;
    },
    createChild: (call, spec) => lifecycle.create(call, { spec, pool: call.self.ref.value }),
    registerChild: (call, path, name) =>
      lifecycle.register(call, { path, name, asTemplate: false, pool: call.self.ref.value }),
  };
}

function interrupted(): VimFault {
  return fault(
    'SystemError',
    { reason: 'interrupted' },
    'The management service restarted during the import; what had been made was taken away. Deploy it again.',
  );
}

async function runImport(
  core: HostCore,
  task: RunningTask,
  input: ImportInput,
  meeting: Meeting,
): Promise<ManagedObjectReference<'VirtualMachine'>> {
  let created: CreatedMachine | undefined;
  meeting.progress = (percent) => task.progress(Math.min(percent, 99));
  const cancel = () => meeting.end.reject(task.signal.reason);
  task.signal.addEventListener('abort', cancel, { once: true });
  try {
    const wanted = importDevices(input.spec);
    created = await createMachine(core, task, { ...input, spec: importedSpec(input.spec) }, 'upload');
    const { record } = created;
    meeting.machine.resolve({
      entity: record.ref as unknown as ManagedObjectReference<'ManagedEntity'>,
      targets: transferTargets(core, created, wanted),
    });
    await meeting.end.promise;
    await makeBlankDisks(core, created, task);
    const now = await readMachine(core, record.datastore, record.vmxPath);
    const broken = [...now.disks.values()].find((disk) => disk.problem !== undefined);
    if (broken !== undefined) throw fault('InvalidDiskFormat', {}, broken.problem ?? 'A disk cannot be read.');
    core.machines.change(record.id, now);
    // Known before the client is told: from then on the machine is its own.
    await task.journal({ whole: record.id } satisfies WholeJournal);
    meeting.cleaned.resolve();
    return record.ref;
  } catch (error) {
    const typed = asFault(error);
    meeting.machine.reject(typed);
    try {
      if (created !== undefined) {
        await takeBack(core, created.record.id, task);
        await removeMade(created.abroad);
      }
    } catch (cause) {
      // The lease ends all the same, and the client hears why the import failed.
      core.onDefect('undoing an import', cause);
    }
    meeting.cleaned.reject(typed);
    meeting.cleaned.promise.catch(() => {});
    throw error;
  } finally {
    if (created !== undefined) core.claims.release(claimOf.machine(created.record.id));
    task.signal.removeEventListener('abort', cancel);
  }
}

/** Types of controllers, as keys of transfers name them. */
export const controllerTypes = {
  ide: 'VirtualIDEController',
  ahci: 'VirtualAHCIController',
  nvme: 'VirtualNVMEController',
  buslogic: 'VirtualBusLogicController',
  lsilogic: 'VirtualLsiLogicController',
  lsisas1068: 'VirtualLsiLogicSASController',
  pvscsi: 'ParaVirtualSCSIController',
} as const;

/** What the lease asks for: the disks, of which those with a file must come, and other files that devices name. */
function transferTargets(
  core: HostCore,
  { record, uploads }: CreatedMachine,
  wanted: readonly ImportDevice[],
): TransferTarget[] {
  const { configuration: c, datastore, vmxPath } = record;
  const { folder, name: vmxName } = splitPath(vmxPath);
  const required = new Set(wanted.filter((device) => device.required).map((device) => device.deviceId));
  const disks = uploads.map((upload): TransferTarget => {
    const disk = c.disks.find((known) => known.key === upload.key);
    const controller = c.controllers.find((known) => known.key === disk?.controllerKey);
    const place = `${controllerTypes[controller?.model ?? 'lsilogic']}${controller?.bus ?? 0}:${disk?.unit ?? 0}`;
    const deviceId = `/${c.name}/${place}`;
    const target = {
      deviceId,
      key: `/${record.id}/${place}`,
      fileName: `disk-${upload.key}.vmdk`,
      optional: !required.has(deviceId),
    };
    const at = datastore.locate(upload.path);
    const named = { ...target, targetId: splitPath(upload.path).name };
    const received = {
      root: at.datastore,
      path: at.path,
      capacityBytes: upload.capacityBytes,
      provisioning: upload.allocation === 'eager' ? 'thick' : 'thin',
      adapterType: adapterOf(c, upload.key),
      hardwareVersion: c.hardwareVersion,
    } as const;
    // A disk settles in the folder of its machine; elsewhere it has all of its bytes first.
    if (at.datastore !== datastore) return diskUploadTarget(named, received);
    return settlingTarget(named, received, {
      verify: settleVerify(core.options, c.extra),
      images: core.hypervisor.images,
    });
  });
  const files = wanted
    .filter(({ kind }) => kind !== 'disk')
    .map(({ deviceId, kind, fileName }, index): TransferTarget => {
      const name = kind === 'nvram' ? vmxName.replace(/\.vmx$/i, '.nvram') : splitPath(fileName).name;
      return fileUploadTarget(
        { deviceId, key: `/${record.id}/${kind}-${index}`, fileName: `file-${index}-${name}` },
        { root: datastore, path: joinPath(folder, name) },
      );
    });
  return [...disks, ...files];
}

/**
 * The spec as CreateVM_Task would take it: disks to come are made by their upload, on the datastore that is named for
 * them; images lie in the machine's folder, and the NVRAM file has its own place.
 */
function importedSpec(spec: VirtualMachineConfigSpec): VirtualMachineConfigSpec {
  const deviceChange = spec.deviceChange?.map((change): VirtualDeviceConfigSpec => {
    const backing = change.device.backing as { readonly fileName?: string } | undefined;
    if (change.device._typeName === 'VirtualDisk') {
      return {
        ...change,
        fileOperation: 'create',
        device: { ...change.device, backing: { ...backing, fileName: datastorePart(backing?.fileName) } as never },
      };
    }
    if (backing?.fileName === undefined) return change;
    return {
      ...change,
      device: { ...change.device, backing: { ...backing, fileName: splitPath(backing.fileName).name } as never },
    };
  });
  return {
    ...spec,
    ...(deviceChange === undefined ? {} : { deviceChange }),
    ...(spec.extraConfig === undefined ? {} : { extraConfig: spec.extraConfig.filter(({ key }) => key !== nvramKey) }),
  };
}

/** `[other]` of `[other] web/web.vmdk`; nothing of a name alone. */
function datastorePart(fileName = ''): string {
  return /^\[[^\]]+\]/.exec(fileName)?.[0] ?? '';
}

/** Disks for which nothing was sent are empty ones. */
async function makeBlankDisks(core: HostCore, created: CreatedMachine, task: RunningTask): Promise<void> {
  const { record } = created;
  const now = await readMachine(core, record.datastore, record.vmxPath);
  for (const upload of created.uploads) {
    if (now.disks.get(upload.key)?.problem === undefined) continue;
    await createBlank(created, upload, task);
  }
}

async function createBlank(
  { record }: CreatedMachine,
  upload: CreatedMachine['uploads'][number],
  task: RunningTask,
): Promise<void> {
  const at = record.datastore.locate(upload.path);
  await createMachineDisk({
    root: at.datastore,
    path: at.path,
    capacityBytes: upload.capacityBytes,
    allocation: upload.allocation,
    adapter: adapterOf(record.configuration, upload.key),
    hardwareVersion: record.configuration.hardwareVersion,
    signal: task.signal,
  });
}

/** Of an import whose machine has all of its disks. */
interface WholeJournal {
  readonly whole: string;
}

/** The machine of an import that lacked nothing but the end of its task. */
function wholeMachine(core: HostCore, task: RunningTask): ManagedObjectReference<'VirtualMachine'> | undefined {
  const { whole } = (task.journaled ?? {}) as Partial<WholeJournal>;
  return whole === undefined ? undefined : core.machines.find(whole)?.ref;
}

async function undo(core: HostCore, task: RunningTask): Promise<void> {
  const journal = task.journaled as Parameters<typeof undoCreate>[1] | undefined;
  if (journal === undefined || 'whole' in journal) return;
  const machine = core.machines.at(journal.datastore, journal.vmxPath);
  if (machine !== undefined) {
    const release = holdMachine(core, task, machine.id);
    await takeBack(core, machine.id, task).finally(release);
  }
  await undoCreate(core, journal);
}

/** Deletes an imported machine with what has come of its disks. */
async function takeBack(core: HostCore, id: string, task: RunningTask): Promise<void> {
  const machine = core.machines.find(id);
  if (machine === undefined) return;
  const { datastore, vmxPath } = machine;
  const now = await readMachine(core, datastore, vmxPath).catch(() => undefined);
  await deleteDoomed(core, await filesOf(core, machine, now?.disks));
  await removeMachine(core, machine, task.userName);
}
