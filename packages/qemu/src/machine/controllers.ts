import type { ControllerHardware, ControllerModel } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import { type Device, deviceId, maxControllers, pciAddress, pciSlot } from './device.ts';

/** Where a drive is attached. */
export interface Attachment {
  readonly driver: { readonly disk: string; readonly cdrom: string | undefined };
  readonly properties: { readonly [property: string]: unknown };
}

interface ControllerKind {
  /** None: part of the chipset. */
  readonly driver: string | undefined;
  readonly slot: number;
  readonly maxBuses: number;
  readonly maxUnit: number;
  attach(controller: ControllerHardware, unit: number): Attachment;
}

const ideDrives = { disk: 'ide-hd', cdrom: 'ide-cd' };
const scsiDrives = { disk: 'scsi-hd', cdrom: 'scsi-cd' };

/**
 * World-wide name of a SAS drive: Linux's mptsas finds no disk without one. Only the low bits differ; they are far
 * enough apart to survive being written as a JSON number.
 */
function sasName(controller: ControllerHardware, unit: number): number {
  return 0x5000c50000000000 + (controller.bus * 64 + unit + 1) * 2 ** 20;
}

function scsi(driver: string, maxUnit: number): ControllerKind {
  return {
    driver,
    slot: pciSlot.scsi,
    maxBuses: maxControllers,
    maxUnit,
    attach: (controller, unit) => ({
      driver: scsiDrives,
      properties: {
        bus: `${deviceId.controller(controller.id)}.0`,
        'scsi-id': unit,
        lun: 0,
        ...(controller.model === 'lsisas1068' ? { wwn: sasName(controller, unit) } : {}),
      },
    }),
  };
}

const kinds: { readonly [model in ControllerModel]: ControllerKind | undefined } = {
  ide: {
    driver: undefined,
    slot: 1,
    maxBuses: 2,
    maxUnit: 1,
    attach: (controller, unit) => ({ driver: ideDrives, properties: { bus: `ide.${controller.bus}`, unit } }),
  },
  ahci: {
    driver: 'ich9-ahci',
    slot: pciSlot.ahci,
    maxBuses: maxControllers,
    maxUnit: 5,
    attach: (controller, unit) => ({
      driver: ideDrives,
      properties: { bus: `${deviceId.controller(controller.id)}.${unit}`, unit: 0 },
    }),
  },
  buslogic: undefined,
  lsilogic: scsi('lsi53c895a', 6),
  lsisas1068: scsi('mptsas1068', 7),
  pvscsi: scsi('pvscsi', 63),
  nvme: {
    driver: 'nvme',
    slot: pciSlot.nvme,
    maxBuses: maxControllers,
    maxUnit: 63,
    attach: (controller, unit) => ({
      driver: { disk: 'nvme-ns', cdrom: undefined },
      properties: { bus: deviceId.controller(controller.id), nsid: unit + 1 },
    }),
  },
};

/** Models that this driver builds. */
export const supportedControllers = (Object.keys(kinds) as ControllerModel[]).filter((model) => kinds[model]);

/** Whether a controller comes and goes while a machine runs, and disks on it do. */
export function isHotPluggable(model: ControllerModel): boolean {
  return kinds[model]?.slot === pciSlot.scsi;
}

function kindOf(controller: ControllerHardware): ControllerKind {
  const kind = kinds[controller.model];
  if (!kind) {
    throw qemuErrors.unsupported(
      `Controller ${controller.id}: QEMU has no ${controller.model}; change it to lsilogic, lsisas1068 or pvscsi.`,
    );
  }
  if (controller.bus < 0 || controller.bus >= kind.maxBuses) {
    throw qemuErrors.unsupported(
      `Controller ${controller.id}: ${controller.model} has ${kind.maxBuses} buses at most.`,
    );
  }
  return kind;
}

/** The controller's own device; undefined when the chipset has it. */
export function controllerDevice(controller: ControllerHardware): Device | undefined {
  const kind = kindOf(controller);
  if (!kind.driver) return undefined;
  return {
    driver: kind.driver,
    id: deviceId.controller(controller.id),
    addr: pciAddress(kind.slot + controller.bus),
    ...(controller.model === 'nvme' ? { serial: controller.id } : {}),
  };
}

/** Where unit `unit` of a controller is. */
export function attachment(controller: ControllerHardware, unit: number, what: string): Attachment {
  const kind = kindOf(controller);
  if (unit < 0 || unit > kind.maxUnit) {
    throw qemuErrors.unsupported(`${what}: ${controller.model} has units 0 to ${kind.maxUnit} on QEMU, not ${unit}.`);
  }
  return kind.attach(controller, unit);
}
