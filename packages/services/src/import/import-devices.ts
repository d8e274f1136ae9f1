import type { VirtualController, VirtualDevice, VirtualDisk, VirtualMachineConfigSpec } from '@hypostyle/vim';

/** A device of an import specification whose content the client uploads. */
export interface ImportDevice {
  /** OvfFileItem.deviceId and `importKey` of the lease, such as `/web/VirtualLsiLogicController0:0`. */
  readonly deviceId: string;
  /** Undefined for the NVRAM file. */
  readonly device: VirtualDevice | undefined;
  readonly kind: 'disk' | 'cdrom' | 'floppy' | 'nvram';
  /** File name that the descriptor gives it; empty where it gives none. */
  readonly fileName: string;
  /** Set for disks. */
  readonly capacityBytes?: number;
  /** False when the machine is whole without it: a disk that is said to be created empty. */
  readonly required: boolean;
}

/** `/<machine>/<controller class><bus>:<unit>`. */
export function importDeviceId(machine: string, controller: { type: string; bus: number }, unit: number): string {
  return `/${machine}/${controller.type}${controller.bus}:${unit}`;
}

export function nvramDeviceId(machine: string): string {
  return `/${machine}/nvram`;
}

/** Key of the extra configuration that names the NVRAM file. */
export const nvramKey = 'nvram';

/**
 * What a lease for this specification must offer. A disk with a file has no `fileOperation` and the file's name in its
 * backing; one with `fileOperation` `create` is made empty, and may be filled by an upload.
 */
export function importDevices(spec: VirtualMachineConfigSpec): ImportDevice[] {
  const machine = spec.name ?? '';
  const changes = spec.deviceChange ?? [];
  const controllers = new Map<number, { type: string; bus: number }>();
  for (const { device } of changes) {
    const bus = (device as Partial<VirtualController>).busNumber;
    if (bus !== undefined) controllers.set(device.key, { type: device._typeName ?? '', bus });
  }
  const found: ImportDevice[] = [];
  for (const { device, fileOperation } of changes) {
    const fileName = (device.backing as { readonly fileName?: string } | undefined)?.fileName ?? '';
    const kind = kinds[device._typeName ?? ''];
    if (kind === undefined || (kind !== 'disk' && fileName === '')) continue;
    const controller = device.controllerKey === undefined ? undefined : controllers.get(device.controllerKey);
    const place = controller ?? (kind === 'floppy' ? { type: 'VirtualFloppy', bus: 0 } : undefined);
    if (place === undefined) continue;
    found.push({
      deviceId: importDeviceId(machine, place, device.unitNumber ?? 0),
      device,
      kind,
      fileName,
      required: fileOperation === undefined,
      ...(kind === 'disk' ? { capacityBytes: capacityOf(device as VirtualDisk) } : {}),
    });
  }
  const nvram = spec.extraConfig?.find(({ key }) => key === nvramKey)?.value;
  if (typeof nvram === 'string' && nvram !== '') {
    found.push({ deviceId: nvramDeviceId(machine), device: undefined, kind: 'nvram', fileName: nvram, required: true });
  }
  return found;
}

const kinds: Readonly<Record<string, ImportDevice['kind']>> = {
  VirtualDisk: 'disk',
  VirtualCdrom: 'cdrom',
  VirtualFloppy: 'floppy',
};

function capacityOf(disk: VirtualDisk): number {
  return disk.capacityInBytes === undefined ? Number(disk.capacityInKB) * 1024 : Number(disk.capacityInBytes);
}
