import type { HotPlugCapabilities } from '@hypostyle/contracts';
import { fault, type VimFault, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import { equipmentOf } from '../../configuration/equipment.ts';
import { invalid } from '../../configuration/invalid.ts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { setting } from '../../configuration/settings.ts';
import { isShared } from '../../configuration/shared-disk.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** Members that no engine has, or that count at the next start. */
const live = new Set<keyof MachineConfiguration>([
  'name',
  'instanceUuid',
  'annotation',
  'bootOrder',
  'bootDisks',
  'bootNics',
  'bootDelayMilliseconds',
  'enterSetup',
  'cpuAllocation',
  'memoryAllocation',
  'changeTracking',
  'template',
  'hasVApp',
  'nvram',
  'extra',
]);
/** Members that an engine may be able to change. */
const hot = ['cpus', 'memoryMiB', 'controllers', 'disks', 'cdroms', 'nics', 'floppies'] as const;

export interface HotChange {
  readonly before: MachineConfiguration;
  readonly after: MachineConfiguration;
  readonly spec: VirtualMachineConfigSpec;
  readonly connections: ReadonlyMap<number, boolean>;
  readonly hotPlug: HotPlugCapabilities | undefined;
}

/**
 * Whether a machine that is on or suspended must be told of a change. Throws the documented fault where it cannot be
 * done before it is off.
 */
export function checkHotChange(machine: MachineRecord, change: HotChange): boolean {
  const { before, after } = change;
  for (const member of Object.keys(after) as (keyof MachineConfiguration)[]) {
    if (live.has(member) || hot.includes(member as never) || same(before[member], after[member])) continue;
    throw invalidPowerState(machine, 'poweredOff');
  }
  const touched = hot.filter((member) => !same(before[member], after[member]));
  const equipped = !same(equipmentOf(before), equipmentOf(after));
  if (touched.length === 0 && !equipped && change.connections.size === 0) return false;
  if (machine.powerState === 'suspended') throw invalidPowerState(machine, 'poweredOff');
  if (equipped) throw notHot(change, () => true, 'it does not come or go while the machine runs');
  checkProcessors(change);
  checkMemory(change);
  checkDrives(change);
  checkDisks(machine, change);
  checkNics(change);
  return true;
}

function checkProcessors({ before, after, hotPlug }: HotChange): void {
  if (after.cpus === before.cpus) return;
  const refuse = (reason: string) =>
    fault('CpuHotPlugNotSupported', {}, `The number of processors is as it is: ${reason}.`);
  if (hotPlug?.cpus !== true) throw refuse('processors do not come and go here while a machine runs');
  if (after.cpus > before.cpus && !before.cpuHotAdd)
    throw refuse('cpuHotAddEnabled was not set when the machine was powered on');
  if (after.cpus < before.cpus && !setting(before, 'cpuHotRemove'))
    throw refuse('cpuHotRemoveEnabled was not set when the machine was powered on');
}

function checkMemory({ before, after, hotPlug }: HotChange): void {
  if (after.memoryMiB === before.memoryMiB) return;
  const refuse = (reason: string) => fault('MemoryHotPlugNotSupported', {}, `The memory is as it is: ${reason}.`);
  const step = hotPlug?.memoryStepMiB ?? 0;
  if (step === 0) throw refuse('memory does not come here while a machine runs');
  if (!before.memoryHotAdd) throw refuse('memoryHotAddEnabled was not set when the machine was powered on');
  if (after.memoryMiB < before.memoryMiB) throw refuse('memory does not go while a machine runs');
  if ((after.memoryMiB - before.memoryMiB) % step !== 0)
    throw invalid('memoryMB', `memory comes in steps of ${step} MiB while a machine runs`);
}

function checkDrives(change: HotChange): void {
  const { before, after, hotPlug } = change;
  for (const family of ['cdroms', 'floppies'] as const) {
    const [was, is] = [before[family], after[family]] as readonly (readonly { readonly key: number }[])[];
    const keys = (list: readonly { readonly key: number }[] | undefined) => (list ?? []).map(({ key }) => key).sort();
    if (!same(keys(was), keys(is))) {
      throw notHot(change, (type) => /^Virtual(Cdrom|Floppy)$/.test(type), 'a drive does not come or go while it runs');
    }
    if (hotPlug?.media !== true && !same(was, is))
      throw notHot(change, (type) => /^Virtual(Cdrom|Floppy)$/.test(type), 'images are not exchanged while it runs');
  }
}

function checkDisks(machine: MachineRecord, change: HotChange): void {
  const { before, after, hotPlug } = change;
  const models = new Set(hotPlug?.controllerModels ?? []);
  const onHot = (c: MachineConfiguration, controllerKey: number) => {
    const model = c.controllers.find(({ key }) => key === controllerKey)?.model;
    return model !== undefined && models.has(model);
  };
  const isDisk = (type: string) => type === 'VirtualDisk';
  for (const disk of after.disks) {
    const old = before.disks.find(({ key }) => key === disk.key);
    if (old === undefined) {
      if (!onHot(after, disk.controllerKey))
        throw notHot(change, isDisk, 'its controller takes no disks while it runs');
      if (disk.mode === 'independent_nonpersistent')
        throw notHot(change, isDisk, 'a disk that forgets its writes does not come while the machine runs');
    } else if (old.fileName !== disk.fileName) {
      throw notHot(change, isDisk, 'a disk is not exchanged at once: remove it, then add the other');
    } else if (old.mode !== disk.mode || old.writeThrough !== disk.writeThrough) {
      throw notHot(change, isDisk, 'its mode is changed while the machine is off');
    } else if (isShared(before, old) !== isShared(after, disk)) {
      throw notHot(change, isDisk, 'who else may write it is changed while the machine is off');
    }
  }
  for (const { key, controllerKey } of before.disks) {
    if (after.disks.some((disk) => disk.key === key)) continue;
    if (!onHot(before, controllerKey)) throw notHot(change, isDisk, 'its controller lets go of no disks while it runs');
    if (machine.disks.get(key)?.settling === true) throw notHot(change, isDisk, 'it is still being settled');
  }
  const differing = [...before.controllers, ...after.controllers].filter(
    (controller) =>
      !(
        before.controllers.some((one) => same(one, controller)) &&
        after.controllers.some((one) => same(one, controller))
      ),
  );
  if (differing.some(({ model }) => !models.has(model)))
    throw notHot(change, (type) => type.endsWith('Controller'), 'such a controller does not come or go while it runs');
  if (
    differing.some(
      ({ key }) =>
        before.controllers.some((one) => one.key === key) && after.controllers.some((one) => one.key === key),
    )
  )
    throw notHot(change, (type) => type.endsWith('Controller'), 'a controller is not exchanged while it runs');
}

function checkNics(change: HotChange): void {
  const { before, after, hotPlug } = change;
  if (same(before.nics, after.nics)) return;
  const isNic = (type: string) => !/^Virtual(Disk|Cdrom|Floppy|SerialPort)$|Controller$/.test(type);
  if (hotPlug?.nics !== true) throw notHot(change, isNic, 'adapters do not come or go here while a machine runs');
  for (const nic of after.nics) {
    const old = before.nics.find(({ key }) => key === nic.key);
    if (old !== undefined && (old.model !== nic.model || old.mac !== nic.mac))
      throw notHot(
        change,
        isNic,
        'its kind and its address are those that it was made with: remove it and add another',
      );
  }
}

/** Names the device of the first change that fits. */
function notHot({ spec }: HotChange, fits: (type: string) => boolean, reason: string): VimFault {
  const changes = spec.deviceChange ?? [];
  const found = changes.findIndex(({ device }) => fits(device._typeName ?? ''));
  const deviceIndex = Math.max(0, found);
  return fault(
    'DeviceHotPlugNotSupported',
    { deviceIndex, property: 'virtualDeviceSpec.device' },
    `Device '${deviceIndex}' cannot be changed while the machine runs: ${reason}.`,
  );
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
