import type {
  ManagedObjectReference,
  VirtualDevice,
  VirtualDeviceConfigSpec,
  VirtualMachineConfigInfo,
  VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { CommandContext } from '../command-context.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { findMachine } from './find-object.ts';
import { runTask } from './run-task.ts';

/** A machine and its devices, as a command changes them. */
export interface MachineDevices {
  readonly ref: ManagedObjectReference<'VirtualMachine'>;
  readonly name: string;
  readonly devices: readonly VirtualDevice[];
}

const shortNames: Readonly<Record<string, string>> = {
  VirtualDisk: 'disk',
  VirtualCdrom: 'cdrom',
  VirtualFloppy: 'floppy',
  VirtualSerialPort: 'serialport',
  VirtualIDEController: 'ide',
  VirtualAHCIController: 'ahci',
  VirtualSATAController: 'sata',
  VirtualNVMEController: 'nvme',
  ParaVirtualSCSIController: 'pvscsi',
  VirtualLsiLogicController: 'lsilogic',
  VirtualLsiLogicSASController: 'lsilogic-sas',
  VirtualBusLogicController: 'buslogic',
  VirtualUSBController: 'usb',
  VirtualUSBXHCIController: 'xhci',
  VirtualSoundBlaster16: 'sound',
  VirtualEnsoniq1371: 'sound',
  VirtualHdAudioCard: 'sound',
  VirtualMachineVideoCard: 'video',
  VirtualPCIController: 'pci',
  VirtualPS2Controller: 'ps2',
  VirtualSIOController: 'sio',
  VirtualKeyboard: 'keyboard',
  VirtualPointingDevice: 'pointing',
};

export const isNic = ({ key }: VirtualDevice): boolean => key >= 4000 && key < 4100;

/** How people call a device: `disk-1000-0`, `ethernet-0`, `cdrom-3000`. */
export function deviceName(device: VirtualDevice): string {
  const { _typeName = 'VirtualDevice', key, controllerKey, unitNumber } = device;
  if (isNic(device)) return `ethernet-${key - 4000}`;
  const short = shortNames[_typeName] ?? _typeName.replace(/^Virtual/, '').toLowerCase();
  return short === 'disk' ? `disk-${controllerKey}-${unitNumber}` : `${short}-${key}`;
}

/** What a device is made of: an image, a file, a network; empty where that says nothing. */
export function deviceBacking({ backing }: VirtualDevice): string {
  const { fileName, deviceName: device } = (backing ?? {}) as {
    readonly fileName?: string;
    readonly deviceName?: string;
  };
  return fileName ?? device ?? '';
}

export async function readDevices(session: ServerSession, machine: string): Promise<MachineDevices> {
  const { ref, name } = await findMachine(session, machine);
  const [found] = await session.client.retrieve(ref, ['config']);
  const config = found?.values.config as VirtualMachineConfigInfo | undefined;
  if (config === undefined) throw new CliError('failed', `${name} has no configuration that can be read.`);
  return { ref, name, devices: config.hardware.device ?? [] };
}

/** Finds a device by its name, its label, or its key. */
export function findDevice({ devices, name }: Pick<MachineDevices, 'devices' | 'name'>, wanted: string): VirtualDevice {
  const found = devices.find(
    (device) =>
      deviceName(device) === wanted || String(device.key) === wanted || device.deviceInfo?.label?.trim() === wanted,
  );
  if (found !== undefined) return found;
  throw new CliError('not-found', `${name} has no device ${wanted}.`, { next: `See: hypo device ls ${name}` });
}

/** Has a machine reconfigured, and waits. */
export async function reconfigure(
  session: ServerSession,
  context: CommandContext,
  { ref, name }: Pick<MachineDevices, 'ref' | 'name'>,
  spec: object,
): Promise<void> {
  await runTask(session, context, name, () =>
    session.client.call(ref, 'ReconfigVM_Task', { spec: spec as VirtualMachineConfigSpec }),
  );
}

export function deviceChange(
  operation: 'add' | 'edit' | 'remove',
  device: object,
  fileOperation?: 'create' | 'destroy',
): VirtualDeviceConfigSpec {
  const change = { _typeName: 'VirtualDeviceConfigSpec', operation, device };
  return (fileOperation === undefined ? change : { ...change, fileOperation }) as unknown as VirtualDeviceConfigSpec;
}

/** The controller that a new disk or drive goes to: the named one, or the first that fits and has room. */
export function controllerFor(
  machine: Pick<MachineDevices, 'devices' | 'name'>,
  wanted: string | undefined,
  types: readonly string[],
): VirtualDevice {
  if (wanted !== undefined) return findDevice(machine, wanted);
  const units: Readonly<Record<string, number>> = { VirtualIDEController: 2, VirtualNVMEController: 15 };
  for (const type of types) {
    for (const controller of machine.devices.filter((device) => device._typeName === type)) {
      const used = machine.devices.filter(({ controllerKey }) => controllerKey === controller.key).length;
      if (used < (units[type] ?? 15)) return controller;
    }
  }
  throw new CliError('usage', `${machine.name} has no controller with room.`, {
    next: `Add one with: hypo device add ${machine.name} scsi`,
  });
}

export const diskControllers = [
  'ParaVirtualSCSIController',
  'VirtualLsiLogicSASController',
  'VirtualLsiLogicController',
  'VirtualAHCIController',
  'VirtualNVMEController',
  'VirtualIDEController',
] as const;
