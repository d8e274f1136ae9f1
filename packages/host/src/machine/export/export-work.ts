import {
  diskDownloadTarget,
  type LeasedContents,
  type OpenedLease,
  type TransferLeases,
  type TransferTarget,
} from '@hypostyle/services';
import { asFault, type Call, fault, type ManagedObjectReference, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { askedDisk, mustNotMerge, openChangedDisk } from '../changes/change-source.ts';
import { freeSocketPath } from '../files/socket-path.ts';
import { controllerTypes } from '../import/import-work.ts';
import { holdMachine } from '../lifecycle/hold-machine.ts';
import { mustBeFree, mustBeOff } from '../lifecycle/lifecycle-work.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { mustShareWithNone } from '../record/shared-paths.ts';
import type { SettleWork } from '../settle/settle-work.ts';

/** The disks as they are, for reading or writing; or as a snapshot has them. */
export type ExportSubject =
  | { readonly kind: 'machine'; readonly writable: boolean }
  | { readonly kind: 'snapshot'; readonly uid: number };

/** What changed on one disk since an id, to be told with it. */
export interface ExportedChanges {
  /** Device key. */
  readonly key: number;
  /** An id, or `*`. */
  readonly since: string;
}

/** Makes what a lease gives of a machine, which stays as it is while the lease lasts. */
export type ExportContents = (machine: MachineRecord) => Promise<readonly TransferTarget[]>;

export interface ExportWork {
  /**
   * VirtualMachine.ExportVm and VirtualMachineSnapshot.ExportSnapshot: a lease by which the client gets the disks, as
   * streamOptimized VMDK or at random.
   */
  begin(
    call: Call,
    machine: MachineRecord,
    subject: ExportSubject,
    options?: {
      readonly endsWithClients?: boolean;
      readonly changes?: ExportedChanges;
      /** What the lease gives, made once nobody changes it; its disks unless told. */
      readonly contents?: ExportContents;
    },
  ): Promise<OpenedLease>;
}

/** The two sides of an export: the task has the machine to itself, the lease gives its disks. */
interface Meeting {
  readonly subject: ExportSubject;
  readonly changes: ExportedChanges | undefined;
  readonly contents: ExportContents | undefined;
  readonly machine: PromiseWithResolvers<LeasedContents>;
  readonly end: PromiseWithResolvers<void>;
  /** Ends it where its clients have left; undefined where they have not. */
  giveUp: () => Promise<void> | undefined;
  progress: (percent: number) => void;
}

interface ExportInput {
  readonly id: string;
  readonly key: string;
}

/**
 * Exports. A machine that is off is left alone until its lease ends; while a snapshot is read, the machine may run, and
 * no snapshot of it is removed. A lease does not survive its process, and neither do they.
 */
export function defineExportWork(core: HostCore, leases: TransferLeases, settle: SettleWork): ExportWork {
  const byKey = new Map<string, Meeting>();
  let last = 0;
  const run = async (task: RunningTask, { id, key }: ExportInput): Promise<void> => {
    const meeting = byKey.get(key);
    // A queued export found again after a restart: its client is gone.
    if (meeting === undefined) throw interrupted();
    try {
      await runExport(core, task, { id, key }, meeting, settle);
    } catch (error) {
      meeting.machine.reject(asFault(error));
      throw error;
    } finally {
      byKey.delete(key);
    }
  };
  const ofMachine = core.tasks.define<ExportInput>('VirtualMachine.ExportVmLRO', {
    method: 'ExportVm',
    cancelable: true,
    run,
  });
  const ofSnapshot = core.tasks.define<ExportInput>('VirtualMachineSnapshot.ExportSnapshotLRO', {
    method: 'ExportSnapshot',
    cancelable: true,
    run,
  });
  return {
    begin: async (call, machine, subject, { endsWithClients = false, changes, contents } = {}) => {
      mustBeFree(core, machine);
      if (subject.kind === 'machine') {
        mustBeOff(machine);
        mustShareWithNone(core, machine);
      }
      const meeting: Meeting = {
        subject,
        changes,
        contents,
        machine: Promise.withResolvers(),
        end: Promise.withResolvers(),
        giveUp: () => undefined,
        progress: () => {},
      };
      meeting.machine.promise.catch(() => {});
      meeting.end.promise.catch(() => {});
      last += 1;
      const key = `${last}`;
      byKey.set(key, meeting);
      const input = { id: machine.id, key };
      let over: Promise<unknown>;
      try {
        const giveUp = () => meeting.giveUp();
        if (subject.kind === 'machine') {
          const task = await ofMachine(call, { input, queueKey: machine.id });
          // Who comes after it hears so at once, and does not wait in the queue for as long as the lease lives.
          const release = core.claims.take([claimOf.exporting(machine.id, key)], task, () => interrupted(), { giveUp });
          over = core.tasks.finished(task).finally(release);
        }
        // Beside whatever the machine does.
        else {
          const queueKey = claimOf.chains(machine.id, key);
          over = core.tasks.finished(await ofSnapshot(call, { input, entity: machine.ref, queueKey }));
        }
      } catch (error) {
        byKey.delete(key);
        throw error;
      }
      const lease = leases.open({
        session: call.session,
        endsWithClients,
        prepare: () => meeting.machine.promise,
        onProgress: (percent) => meeting.progress(percent),
        // Who is answered may do at once with the machine what the export held back.
        onComplete: async () => {
          meeting.end.resolve();
          await over;
        },
        onAbort: async (reason) => meeting.end.reject(reason),
      });
      meeting.giveUp = () => lease.endUnused();
      return lease;
    },
  };
}

async function runExport(
  core: HostCore,
  task: RunningTask,
  { id, key }: ExportInput,
  meeting: Meeting,
  settle: SettleWork,
): Promise<void> {
  const ref = { type: 'VirtualMachine', value: id } as const;
  const { subject } = meeting;
  const giveUp = () => meeting.giveUp();
  const release =
    subject.kind === 'machine'
      ? holdMachine(core, task, id, giveUp)
      : holdChains(core, task, core.machines.get(ref), { key, giveUp });
  const cancel = () => meeting.end.reject(task.signal.reason);
  task.signal.addEventListener('abort', cancel, { once: true });
  try {
    if (subject.kind === 'machine') {
      mustBeOff(core.machines.get(ref));
      // What is exported is the machine's own, and not what it still reads from elsewhere.
      await settle.complete(id, task.signal, (percent) => task.progress(percent / 2));
      // Whoever writes it does not say what.
      if (subject.writable) await core.changes.end(id);
    }
    const record = core.machines.get(ref);
    meeting.progress = (percent) => task.progress(Math.min(percent, 99));
    meeting.machine.resolve({
      entity: record.ref as unknown as ManagedObjectReference<'ManagedEntity'>,
      targets: await (meeting.contents?.(record) ?? exportTargets(core, exportedView(record, subject), meeting)),
    });
    await meeting.end.promise;
  } finally {
    task.signal.removeEventListener('abort', cancel);
    release();
  }
}

/** Keeps the chains of a machine's snapshots as they are; refused while something changes them. */
function holdChains(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { key, giveUp }: { readonly key: string; readonly giveUp: Meeting['giveUp'] },
): () => void {
  mustBeFree(core, machine);
  mustNotMerge(core, machine);
  return core.claims.take([claimOf.chains(machine.id, key)], task.ref, () => interrupted(), { giveUp });
}

/** The machine as it is, or as it was. */
export function exportedView(record: MachineRecord, subject: ExportSubject): MachineRecord {
  if (subject.kind === 'machine') return record;
  const view = record.snapshots.views.get(subject.uid);
  if (view === undefined) throw fault('NotFound', {}, 'The snapshot is gone.');
  const { configuration, disks } = view;
  return { ...record, configuration, disks };
}

/** Every disk with its whole chain. Throws FileFault for one that cannot be read. */
function exportTargets(
  core: HostCore,
  record: MachineRecord,
  { subject, changes }: Pick<Meeting, 'subject' | 'changes'>,
): TransferTarget[] {
  const writable = subject.kind === 'machine' && subject.writable;
  return record.configuration.disks.map((disk) => {
    const { fileName } = disk;
    const facts = record.disks.get(disk.key);
    const path = facts?.chain[0]?.[0];
    if (facts === undefined || path === undefined || facts.problem !== undefined)
      throw fault('FileFault', { file: fileName }, facts?.problem ?? `The disk ${fileName} cannot be read.`);
    if (facts.settling) throw fault('InvalidState', {}, `The disk ${fileName} still settles.`);
    const target = diskDownloadTarget(
      { ...exportName(record, disk.key), capacityBytes: facts.capacityBytes },
      {
        root: record.datastore.locate(path).datastore,
        path: record.datastore.locate(path).path,
        writable,
        images: core.hypervisor.images,
        socketPath: () => freeSocketPath(core),
      },
    );
    if (changes?.key !== disk.key) return target;
    const snapshot = subject.kind === 'snapshot' ? subject.uid : undefined;
    const openDisk = () =>
      openChangedDisk(core, askedDisk(core.machines.get(record.ref), disk.key, snapshot), changes.since);
    return { ...target, openDisk };
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

function interrupted() {
  const reason = 'The management service restarted during the export. Export it again.';
  return fault('SystemError', { reason: 'interrupted' }, reason);
}
