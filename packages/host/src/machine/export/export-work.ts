import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  diskDownloadTarget,
  type LeasedContents,
  type OpenedLease,
  type TransferLeases,
  type TransferTarget,
} from '@hypostyle/services';
import { asFault, type Call, fault, type ManagedObjectReference, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { controllerTypes } from '../import/import-work.ts';
import { holdMachine, mustBeFree, mustBeOff } from '../lifecycle/lifecycle-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import type { SettleWork } from '../settle/settle-work.ts';

export interface ExportWork {
  /**
   * VirtualMachine.ExportVm: a lease by which the client gets the disks, as streamOptimized VMDK or at random; or by
   * which it writes them.
   */
  begin(call: Call, options?: { readonly writable?: boolean }): Promise<OpenedLease>;
}

/** The two sides of an export: the task has the machine to itself, the lease gives its disks. */
interface Meeting {
  readonly writable: boolean;
  readonly machine: PromiseWithResolvers<LeasedContents>;
  readonly end: PromiseWithResolvers<void>;
  progress: (percent: number) => void;
}

/** Exports: the machine is left alone until its lease ends. A lease does not survive its process, and neither do they. */
export function defineExportWork(core: HostCore, leases: TransferLeases, settle: SettleWork): ExportWork {
  const byKey = new Map<string, Meeting>();
  let last = 0;
  const start = core.tasks.define<{ readonly id: string; readonly key: string }>('VirtualMachine.ExportVmLRO', {
    method: 'ExportVm',
    cancelable: true,
    run: async (task, { id, key }) => {
      const meeting = byKey.get(key);
      // A queued export found again after a restart: its client is gone.
      if (meeting === undefined) throw interrupted();
      try {
        await runExport(core, task, id, meeting, settle);
      } catch (error) {
        meeting.machine.reject(asFault(error));
        throw error;
      } finally {
        byKey.delete(key);
      }
    },
  });
  return {
    begin: async (call, { writable = false } = {}) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      mustBeOff(machine);
      const meeting: Meeting = {
        writable,
        machine: Promise.withResolvers(),
        end: Promise.withResolvers(),
        progress: () => {},
      };
      meeting.machine.promise.catch(() => {});
      meeting.end.promise.catch(() => {});
      last += 1;
      const key = `${last}`;
      byKey.set(key, meeting);
      try {
        await start(call, { input: { id: machine.id, key }, queueKey: machine.id });
      } catch (error) {
        byKey.delete(key);
        throw error;
      }
      const lease = leases.open({
        session: call.session,
        prepare: () => meeting.machine.promise,
        onProgress: (percent) => meeting.progress(percent),
        onComplete: async () => meeting.end.resolve(),
        onAbort: async (reason) => meeting.end.reject(reason),
      });
      return lease;
    },
  };
}

async function runExport(
  core: HostCore,
  task: RunningTask,
  id: string,
  meeting: Meeting,
  settle: SettleWork,
): Promise<void> {
  const release = holdMachine(core, task, id);
  const cancel = () => meeting.end.reject(task.signal.reason);
  task.signal.addEventListener('abort', cancel, { once: true });
  try {
    mustBeOff(core.machines.get({ type: 'VirtualMachine', value: id }));
    // What is exported is the machine's own, and not what it still reads from elsewhere.
    await settle.complete(id, task.signal, (percent) => task.progress(percent / 2));
    const record = core.machines.get({ type: 'VirtualMachine', value: id });
    meeting.progress = (percent) => task.progress(Math.min(percent, 99));
    meeting.machine.resolve({
      entity: record.ref as unknown as ManagedObjectReference<'ManagedEntity'>,
      targets: exportTargets(core, record, meeting),
    });
    await meeting.end.promise;
  } finally {
    task.signal.removeEventListener('abort', cancel);
    release();
  }
}

/** Every disk with its whole chain. Throws FileFault for one that cannot be read. */
function exportTargets(core: HostCore, record: MachineRecord, { writable }: Meeting): TransferTarget[] {
  return record.configuration.disks.map((disk) => {
    const { fileName } = disk;
    const facts = record.disks.get(disk.key);
    const path = facts?.chain[0]?.[0];
    if (facts === undefined || path === undefined || facts.problem !== undefined)
      throw fault('FileFault', { file: fileName }, facts?.problem ?? `The disk ${fileName} cannot be read.`);
    return diskDownloadTarget(
      { ...exportName(record, disk.key), capacityBytes: facts.capacityBytes },
      {
        root: record.datastore,
        path,
        writable,
        images: core.hypervisor.images,
        socketPath: () => freeSocketPath(core),
      },
    );
  });
}

/** What a disk is called in a lease. */
export function exportName({ id, configuration }: MachineRecord, diskKey: number) {
  const index = configuration.disks.findIndex(({ key }) => key === diskKey);
  const disk = configuration.disks[index];
  const controller = configuration.controllers.find(({ key }) => key === disk?.controllerKey);
  const place = `${controllerTypes[controller?.model ?? 'lsilogic']}${controller?.bus ?? 0}:${disk?.unit}`;
  const fileName = `disk-${index}.vmdk`;
  return {
    deviceId: `/${configuration.name}/${place}`,
    key: `/${id}/${place}`,
    fileName,
    targetId: fileName,
  };
}

/** A name of a socket in the run directory; paths of sockets are short. */
function freeSocketPath({ runDirectory }: HostCore): string {
  return join(runDirectory, `x-${randomBytes(4).toString('hex')}`);
}

function interrupted() {
  const reason = 'The management service restarted during the export. Export it again.';
  return fault('SystemError', { reason: 'interrupted' }, reason);
}
