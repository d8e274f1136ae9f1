import { readdir, rm } from 'node:fs/promises';
import { copyMachineDisk, faults, joinPath, machineDiskFiles, readDiskChain, splitPath } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference, type RunningTask, type VirtualDisk } from '@hypostyle/vim';
import { spaceOf } from '../../datastore/datastores.ts';
import type { HostCore } from '../../host-core.ts';
import { adapterOf } from '../files/disk-effects.ts';
import { diskPath, readVmx, writeVmx } from '../files/machine-files.ts';
import { mustBeFree } from '../lifecycle/lifecycle-work.ts';
import { driveNode } from '../power/hardware.ts';
import { invalidPowerState } from '../power/power-work.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { refreshMachine } from '../snapshot/refresh-machine.ts';
import { removeFiles } from '../snapshot/remove-files.ts';
import { stemOf } from './clone-configuration.ts';
import { copyFault } from './clone-files.ts';

interface PromoteInput {
  readonly id: string;
  /** Device keys; all disks where it is absent. */
  readonly keys?: readonly number[];
}

/** Disks that get bytes of their own, and what goes then. Paths are of the datastore. */
interface PromoteJournal {
  readonly disks: readonly { readonly key: number; readonly name: string }[];
  readonly released: readonly string[];
  readonly bases: readonly string[];
}

export interface PromoteWork {
  promote(call: Call, disks: readonly VirtualDisk[] | undefined): Promise<ManagedObjectReference<'Task'>>;
}

/** VirtualMachine.PromoteDisks_Task: a linked clone gets all of its bytes, and stands on nothing any more. */
export function definePromoteWork(core: HostCore): PromoteWork {
  const run = (task: RunningTask, input: PromoteInput) => promote(core, task, input);
  const start = core.tasks.define<PromoteInput>('VirtualMachine.promoteDisks', {
    method: 'PromoteDisks_Task',
    cancelable: true,
    run,
    resume: run,
  });
  return {
    promote: (call, disks) => {
      const machine = core.machines.get(call.self.ref);
      mustBeFree(core, machine);
      if (machine.powerState === 'poweredOn') throw invalidPowerState(machine, 'poweredOff');
      const keys = disks === undefined || disks.length === 0 ? undefined : disks.map(({ key }) => key);
      for (const key of keys ?? [])
        if (!machine.disks.has(key))
          throw fault('InvalidArgument', { invalidProperty: 'disks' }, `The machine has no disk ${key}.`);
      return start(call, { input: { id: machine.id, ...(keys === undefined ? {} : { keys }) }, queueKey: machine.id });
    },
  };
}

async function promote(core: HostCore, task: RunningTask, { id, keys }: PromoteInput): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  const begun = task.journaled as PromoteJournal | undefined;
  if (begun !== undefined) {
    if (isDone(machine, begun)) return conclude(core, machine, begun);
    await undo(machine, begun);
  }
  if (machine.powerState === 'poweredOn') throw invalidPowerState(machine, 'poweredOff');
  const plan = await planOf(machine, keys);
  if (plan === undefined) return;
  const letGo = core.claims.take([claimOf.copying(id, task.ref.value)], task.ref, () =>
    fault('TaskInProgress', { task: task.ref }, 'The machine is being copied.'),
  );
  try {
    await checkSpace(machine, plan);
    await task.journal(plan);
    try {
      await copyDisks(core, task, machine, plan);
      await nameDisks(machine, plan);
    } catch (error) {
      await undo(machine, plan);
      throw error;
    }
    await conclude(core, await refreshMachine(core, id), plan);
  } finally {
    letGo();
  }
}

/** Disks that stand on others; undefined where there is none. */
async function planOf(
  machine: MachineRecord,
  keys: readonly number[] | undefined,
): Promise<PromoteJournal | undefined> {
  if (machine.problem !== undefined) throw fault('InvalidVmConfig', {}, machine.problem);
  const { configuration, datastore, vmxPath, disks } = machine;
  const linked = configuration.disks.filter(
    ({ key }) => (keys?.includes(key) ?? true) && (disks.get(key)?.chain.length ?? 0) > 1,
  );
  if (linked.length === 0) return undefined;
  if (machine.snapshots.entries.length > 0)
    throw fault('NotSupported', {}, 'The machine has snapshots, which stand on the same disks; remove them first.');
  const { folder } = splitPath(vmxPath);
  const taken = new Set(await readdir(datastore.absolute(folder)));
  const stem = stemOf(vmxPath);
  const names = linked.map(({ key }) => {
    for (let number = 0; ; number += 1) {
      const name = number === 0 ? `${stem}-whole.vmdk` : `${stem}-whole_${number}.vmdk`;
      const files = machineDiskFiles(datastore, joinPath(folder, name)).map((path) =>
        path.slice(path.lastIndexOf('/') + 1),
      );
      if (files.some((file) => taken.has(file))) continue;
      for (const file of files) taken.add(file);
      return { key, name };
    }
  });
  const files = linked.flatMap(({ key }) => disks.get(key)?.chain.flat() ?? []);
  const own = files.filter((path) => splitPath(path).folder === folder);
  const bases = files.map((path) => splitPath(path).folder).filter((base) => base !== folder);
  return { disks: names, released: own, bases: [...new Set(bases)] };
}

async function checkSpace({ datastore, disks }: MachineRecord, plan: PromoteJournal): Promise<void> {
  const space = await spaceOf(datastore);
  const needed = plan.disks.reduce((sum, { key }) => {
    const facts = disks.get(key);
    return sum + (facts === undefined || facts.thin ? 0 : facts.capacityBytes);
  }, 0);
  if (space === undefined || needed > space.freeBytes) throw faults.noSpace(datastore.format(''), datastore.name);
}

async function copyDisks(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { disks }: PromoteJournal,
): Promise<void> {
  const { configuration, datastore, vmxPath } = machine;
  for (const [index, { key, name }] of disks.entries()) {
    const fileName = configuration.disks.find((disk) => disk.key === key)?.fileName ?? '';
    const path = joinPath(splitPath(vmxPath).folder, name);
    try {
      await copyMachineDisk({
        source: await readDiskChain(diskPath(datastore, vmxPath, fileName), {
          allowOutside: (other) => datastore.holds(other),
        }),
        path: datastore.absolute(path),
        allocation: machine.disks.get(key)?.thin === false ? 'thick' : 'thin',
        adapter: adapterOf(configuration, key),
        hardwareVersion: configuration.hardwareVersion,
        images: core.hypervisor.images,
        signal: task.signal,
        onProgress: (fraction) => task.progress(Math.floor((90 * (index + fraction)) / disks.length)),
      });
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, path);
    }
  }
}

async function nameDisks(
  { configuration, datastore, vmxPath }: MachineRecord,
  { disks }: PromoteJournal,
): Promise<void> {
  const vmx = await readVmx(datastore, vmxPath);
  for (const { key, name } of disks) {
    const disk = configuration.disks.find((one) => one.key === key);
    if (disk !== undefined) vmx.set(`${driveNode(configuration, disk)}.fileName`, name);
  }
  await writeVmx(datastore, vmxPath, vmx);
}

function isDone({ configuration }: MachineRecord, { disks }: PromoteJournal): boolean {
  return disks.every(({ key, name }) => configuration.disks.find((disk) => disk.key === key)?.fileName === name);
}

async function conclude(core: HostCore, machine: MachineRecord, { released, bases }: PromoteJournal): Promise<void> {
  await removeFiles(core, machine, released);
  for (const base of bases) await core.diskChildren.release(machine.datastore, base);
  await refreshMachine(core, machine.id);
}

async function undo({ datastore, vmxPath }: MachineRecord, { disks }: PromoteJournal): Promise<void> {
  for (const { name } of disks)
    for (const file of machineDiskFiles(datastore, joinPath(splitPath(vmxPath).folder, name)))
      await rm(file, { force: true });
}
