import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { changeDiskRoom, copyMachineDisk, faults, joinPath, readDiskChain, splitPath } from '@hypostyle/services';
import {
  asFault,
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineRelocateSpec,
} from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import { references } from '../../inventory/references.ts';
import { writeVApp } from '../../vapp/vapp-file.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { adapterOf } from '../files/disk-effects.ts';
import { diskPath, readVmx, syncFolder, writeVmx } from '../files/machine-files.ts';
import { type DoomedFiles, deleteDoomed, filesOf } from '../files/machine-removal.ts';
import { mustBeFree, provisioning } from '../lifecycle/lifecycle-work.ts';
import { choosePlace } from '../lifecycle/machine-place.ts';
import { driveNode } from '../power/hardware.ts';
import { invalidPowerState } from '../power/power-work.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { putMachine, readMachine } from '../registration/registration.ts';
import { refreshMachine } from '../snapshot/refresh-machine.ts';
import { copyFault } from './clone-files.ts';
import { type FlattenedDisk, type RelocatePlan, relocatePlan } from './relocate-plan.ts';

interface RelocateInput {
  readonly id: string;
  readonly spec: VirtualMachineRelocateSpec;
}

/** Where the machine comes to, and what goes once it is there. */
interface RelocateJournal {
  readonly datastore: string;
  readonly vmxPath: string;
  /** Of the place that it comes from; absolute paths of files where it stays in its folder. */
  readonly doomed: DoomedFiles | undefined;
}

export interface RelocateWork {
  relocate(call: Call, spec: VirtualMachineRelocateSpec): Promise<ManagedObjectReference<'Task'>>;
}

/** VirtualMachine.RelocateVM_Task between datastores of a host, for machines that do not run. */
export function defineRelocateWork(core: HostCore): RelocateWork {
  const run = (task: RunningTask, input: RelocateInput) => provisioning(core, () => relocate(core, task, input));
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
      if ((await relocatePlan(core, machine, spec)) !== undefined) mustNotRun(machine);
      return start(call, { input: { id: machine.id, spec }, queueKey: machine.id });
    },
  };
}

function mustNotRun(machine: MachineRecord): void {
  if (machine.powerState === 'poweredOn') throw invalidPowerState(machine, 'poweredOff');
}

async function relocate(core: HostCore, task: RunningTask, { id, spec }: RelocateInput): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  const begun = task.journaled as RelocateJournal | undefined;
  if (begun !== undefined) {
    if (machine.datastore.uuid === begun.datastore && machine.vmxPath === begun.vmxPath) {
      await conclude(core, task, machine, begun, undefined);
      return;
    }
    await undo(core, begun);
  }
  const plan = await relocatePlan(core, machine, spec);
  if (plan === undefined) return;
  mustNotRun(machine);
  const members = destination(core, machine, plan);
  if (begun === undefined)
    core.registry.commit((draft) => task.post(draft, { type: 'VmBeingRelocatedEvent', entity: machine.ref, members }));
  const letGo = core.claims.take([claimOf.copying(id, task.ref.value)], task.ref, () =>
    fault('TaskInProgress', { task: task.ref }, 'The machine is being copied.'),
  );
  try {
    if (plan.datastore === machine.datastore) await changeRoom(core, task, machine, plan);
    else await move(core, task, machine, plan);
  } catch (error) {
    const { detail, message } = asFault(error);
    const reason = { _typeName: 'LocalizedMethodFault', fault: detail, localizedMessage: message };
    core.registry.commit((draft) =>
      task.post(draft, { type: 'VmRelocateFailedEvent', entity: machine.ref, members: { ...members, reason } }),
    );
    throw error;
  } finally {
    letGo();
  }
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

async function move(core: HostCore, task: RunningTask, machine: MachineRecord, plan: RelocatePlan): Promise<void> {
  const { datastore } = plan;
  await checkSpace(machine, plan);
  const { name } = machine.configuration;
  const place = await choosePlace(core, datastore.format(''), name, task);
  try {
    const vmxPath = joinPath(place.folder, splitPath(machine.vmxPath).name);
    const journal: RelocateJournal = { datastore: datastore.uuid, vmxPath, doomed: await filesOf(core, machine) };
    await task.journal(journal);
    const directory = datastore.absolute(place.folder);
    try {
      await mkdir(directory, { recursive: true });
      await syncFolder(dirname(directory));
      await copyFiles(core, task, machine, plan, directory);
      const vmx = await readVmx(machine.datastore, machine.vmxPath);
      nameFiles(vmx, machine, plan);
      if (machine.vApp !== undefined) await writeVApp(datastore, vmxPath, machine.vApp);
      await writeVmx(datastore, vmxPath, vmx);
      // Whatever of it cannot be read there is found out before the machine is there.
      await readMachine(core, datastore, vmxPath);
      task.signal.throwIfAborted();
    } catch (error) {
      await undo(core, journal);
      throw error;
    }
    await core.store.transact([
      putMachine({ id: machine.id, datastore: datastore.uuid, vmxPath, created: machine.created }),
    ]);
    const now = await readMachine(core, datastore, vmxPath);
    core.registry.commit((draft) => {
      core.machines.move(machine.id, { datastore, vmxPath }, draft);
      core.machines.change(machine.id, now, draft);
      core.inventory.refresh(draft);
    });
    await conclude(core, task, core.machines.get(machine.ref), journal, machine);
  } finally {
    place.release();
  }
}

/** The files where it was go; a machine that nothing stands on leaves none. */
async function conclude(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { doomed }: RelocateJournal,
  before: MachineRecord | undefined,
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

async function undo(core: HostCore, { datastore: uuid, vmxPath }: RelocateJournal): Promise<void> {
  const datastore = core.datastores.byUuid(uuid);
  const { folder } = splitPath(vmxPath);
  if (datastore !== undefined && folder !== '') await rm(datastore.absolute(folder), { recursive: true, force: true });
}

async function checkSpace(machine: MachineRecord, { datastore, copied, flattened }: RelocatePlan): Promise<void> {
  const space = await spaceOf(datastore);
  if (space === undefined) throw faults.cannotAccess(datastore.format(''), 'the datastore is not accessible');
  let needed = 0;
  const folder = dirname(machine.datastore.absolute(machine.vmxPath));
  for (const name of copied) needed += (await stat(join(folder, name))).blocks * 512;
  for (const { key, allocation } of flattened)
    if (allocation !== 'thin') needed += machine.disks.get(key)?.capacityBytes ?? 0;
  if (needed > space.freeBytes) throw faults.noSpace(datastore.format(''), datastore.name);
}

async function copyFiles(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { datastore, copied, flattened }: RelocatePlan,
  directory: string,
): Promise<void> {
  const { configuration } = machine;
  const total = copied.length + flattened.length;
  const from = dirname(machine.datastore.absolute(machine.vmxPath));
  let done = 0;
  const onProgress = (fraction: number) => task.progress(5 + Math.floor((85 * (done + fraction)) / Math.max(1, total)));
  const step = async (name: string, work: () => Promise<void>) => {
    task.signal.throwIfAborted();
    try {
      await work();
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, joinPath(directory.slice(datastore.directory.length + 1), name));
    }
    done += 1;
  };
  const { signal } = task;
  const { images } = core.hypervisor;
  for (const name of copied)
    await step(name, () =>
      images.copyDisk({
        layers: [{ format: 'raw', path: join(from, name) }],
        path: join(directory, name),
        signal,
        onProgress,
      }),
    );
  for (const disk of flattened)
    await step(disk.fileName, async () =>
      copyMachineDisk({
        source: await readDiskChain(diskPath(machine.datastore, machine.vmxPath, fileNameOf(machine, disk)), {
          allowOutside: (path) => path.startsWith(`${machine.datastore.directory}/`),
        }),
        path: join(directory, newNameOf(machine, disk)),
        allocation: disk.allocation,
        adapter: adapterOf(configuration, disk.key),
        hardwareVersion: configuration.hardwareVersion,
        images,
        signal,
        onProgress,
      }),
    );
}

function fileNameOf({ configuration }: MachineRecord, { key }: FlattenedDisk): string {
  return configuration.disks.find((disk) => disk.key === key)?.fileName ?? '';
}

/** `web-000003.vmdk` is no name for a disk that stands on none. */
function newNameOf(machine: MachineRecord, disk: FlattenedDisk): string {
  const plain = disk.fileName.replace(/-\d{6}\.vmdk$/i, '.vmdk');
  const others = machine.configuration.disks.filter(({ key }) => key !== disk.key);
  const taken = others.some(({ fileName }) => splitPath(fileName).name.replace(/-\d{6}\.vmdk$/i, '.vmdk') === plain);
  return taken ? disk.fileName : plain;
}

/** Disks that got bytes of their own have plain names; images beside the machine stay where they were. */
function nameFiles(vmx: VmxFile, machine: MachineRecord, { flattened }: RelocatePlan): void {
  const { configuration, datastore, vmxPath } = machine;
  const { folder } = splitPath(vmxPath);
  vmx.set('displayName', configuration.name);
  for (const disk of flattened) {
    const device = configuration.disks.find(({ key }) => key === disk.key);
    if (device !== undefined) vmx.set(`${driveNode(configuration, device)}.fileName`, newNameOf(machine, disk));
  }
  const outside = (fileName: string | undefined) =>
    fileName === undefined || fileName === '' || /^[/[]/.test(fileName)
      ? undefined
      : join(datastore.url, folder, fileName);
  for (const cdrom of configuration.cdroms) {
    const path = cdrom.kind === 'iso' ? outside(cdrom.fileName) : undefined;
    if (path !== undefined) vmx.set(`${driveNode(configuration, cdrom)}.fileName`, path);
  }
  for (const floppy of configuration.floppies) {
    const path = outside(floppy.fileName);
    if (path !== undefined) vmx.set(`floppy${floppy.number}.fileName`, path);
  }
}

function destination(core: HostCore, { configuration }: MachineRecord, { datastore }: RelocatePlan) {
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
