import type { VirtualDevice } from '@hypostyle/vim';
import { badDevice, type DeviceDraft } from './device-draft.ts';
import { families } from './device-keys.ts';
import type { Controller } from './machine-configuration.ts';

/** Controller and free unit for a device, by what the client said. */
export function place(
  draft: DeviceDraft,
  device: VirtualDevice,
  index: number,
  own?: number,
): { controller: Controller; unit: number } {
  const asked = device.controllerKey;
  if (asked === undefined) throw badDevice(index, 'device.controllerKey', 'it is unset');
  const key = draft.keys.get(asked) ?? asked;
  const { configuration: c } = draft;
  const controller = c.controllers.find((known) => known.key === key);
  if (controller === undefined)
    throw badDevice(index, 'device.controllerKey', `there is no storage controller ${asked}`);
  const family = families[controller.family];
  const taken = new Set(
    [...c.disks, ...c.cdroms].filter((d) => d.controllerKey === key && d.key !== own).map((d) => d.unit),
  );
  if (family.reservedUnit !== undefined) taken.add(family.reservedUnit);
  let unit = device.unitNumber;
  if (unit === undefined || unit < 0) {
    unit = 0;
    while (taken.has(unit)) unit += 1;
  }
  if (unit >= family.unitsPerBus)
    throw badDevice(index, 'device.unitNumber', `controller ${key} has units 0 to ${family.unitsPerBus - 1}`);
  if (taken.has(unit)) throw badDevice(index, 'device.unitNumber', `unit ${unit} of controller ${key} is taken`);
  return { controller, unit };
}

/** The device of a key; InvalidDeviceSpec where there is none. */
export function existing<T extends { readonly key: number }>(devices: readonly T[], key: number, index: number): T {
  const device = devices.find((known) => known.key === key);
  if (device === undefined) throw badDevice(index, 'device.key', `the machine has no such device ${key}`);
  return device;
}
