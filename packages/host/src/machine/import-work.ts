import {
  createMachineDisk,
  diskUploadTarget,
  type LeasedContents,
  splitPath,
  type TransferLeases,
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
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import type { HostCore } from '../host-core.ts';
import { adapterOf } from './disk-effects.ts';
import { type CreatedMachine, createMachine, type LifecycleWork, removeMachine, undoCreate } from './lifecycle-work.ts';
import { deleteFiles } from './machine-files.ts';
import { readMachine } from './registration.ts';

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
export function defineImportWork(core: HostCore, lifecycle: () => LifecycleWork, leases: TransferLeases): ImportWork {
  const byKey = new Map<string, Meeting>();
  let last = 0;
  const start = core.tasks.define<ImportInput & { readonly key: string }>('ResourcePool.ImportVAppLRO', {
    cancelable: true,
    run: async (task, input) => {
      const meeting = byKey.get(input.key);
      // A queued import found again after a restart: its client is gone.
      if (meeting === undefined) throw interrupted();
      return runImport(core, task, input, meeting).finally(() => byKey.delete(input.key));
    },
    resume: async (task) => {
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
      await start(call, {
        input: { spec: spec.configSpec, pool: call.self.ref.value, key },
        entityName: spec.configSpec.name,
      });
      const lease = leases.open({
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
    createChild: (call, spec) => lifecycle().create(call, { spec, pool: call.self.ref.value }),
    registerChild: (call, path, name) =>
      lifecycle().register(call, { path, name, asTemplate: false, pool: call.self.ref.value }),
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
    created = await createMachine(core, task, input, 'upload');
    const { record } = created;
    meeting.machine.resolve({
      entity: record.ref as unknown as ManagedObjectReference<'ManagedEntity'>,
      targets: created.uploads.map((upload) =>
        uploadTarget(record.configuration, record.ref.value, created as CreatedMachine, upload),
      ),
    });
    await meeting.end.promise;
    await makeBlankDisks(core, created, task);
    const now = await readMachine(core, record.datastore, record.vmxPath);
    const broken = [...now.disks.values()].find((disk) => disk.problem !== undefined);
    if (broken !== undefined) throw fault('InvalidDiskFormat', {}, broken.problem ?? 'A disk cannot be read.');
    core.machines.change(record.id, now);
    meeting.cleaned.resolve();
    return record.ref;
  } catch (error) {
    const typed = asFault(error);
    meeting.machine.reject(typed);
    if (created !== undefined) {
      await deleteFiles(
        created.record.datastore,
        created.record.vmxPath,
        (await readMachine(core, created.record.datastore, created.record.vmxPath)).disks,
      );
      await removeMachine(core, created.record, task.userName);
    }
    meeting.cleaned.reject(typed);
    meeting.cleaned.promise.catch(() => {});
    throw error;
  } finally {
    task.signal.removeEventListener('abort', cancel);
  }
}

/** `importKey` of a disk: what CreateImportSpec calls its file, `/name/VirtualLsiLogicController0:0`. */
function uploadTarget(
  c: MachineConfiguration,
  id: string,
  { record }: CreatedMachine,
  upload: CreatedMachine['uploads'][number],
) {
  const disk = c.disks.find((known) => known.key === upload.key);
  const controller = c.controllers.find((known) => known.key === disk?.controllerKey);
  const types = {
    ide: 'VirtualIDEController',
    ahci: 'VirtualAHCIController',
    nvme: 'VirtualNVMEController',
    buslogic: 'VirtualBusLogicController',
    lsilogic: 'VirtualLsiLogicController',
    lsisas1068: 'VirtualLsiLogicSASController',
    pvscsi: 'ParaVirtualSCSIController',
  } as const;
  const place = `${types[controller?.model ?? 'lsilogic']}${controller?.bus ?? 0}:${disk?.unit ?? 0}`;
  const target = diskUploadTarget(
    { deviceId: `/${c.name}/${place}`, key: `/${id}/${place}`, fileName: `disk-${upload.key}.vmdk`, optional: true },
    {
      root: record.datastore,
      path: upload.path,
      capacityBytes: upload.capacityBytes,
      provisioning: upload.allocation === 'eager' ? 'thick' : 'thin',
      adapterType: adapterOf(c, upload.key),
      hardwareVersion: c.hardwareVersion,
    },
  );
  return { ...target, targetId: splitPath(upload.path).name };
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
  await createMachineDisk({
    root: record.datastore,
    path: upload.path,
    capacityBytes: upload.capacityBytes,
    allocation: upload.allocation,
    adapter: adapterOf(record.configuration, upload.key),
    hardwareVersion: record.configuration.hardwareVersion,
    signal: task.signal,
  });
}

async function undo(core: HostCore, task: RunningTask): Promise<void> {
  const journal = task.journaled as Parameters<typeof undoCreate>[1] | undefined;
  if (journal === undefined) return;
  const machine = core.machines.at(journal.datastore, journal.vmxPath);
  if (machine !== undefined) await removeMachine(core, machine, task.userName);
  await undoCreate(core, journal);
}
