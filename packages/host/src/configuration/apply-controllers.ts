import type { ControllerModel } from '@hypostyle/contracts';
import type { VirtualDevice, VirtualDeviceConfigSpec } from '@hypostyle/vim';
import { badDevice, type DeviceDraft } from './device-draft.ts';
import { controllerKey, families } from './device-keys.ts';
import type { Controller, ControllerFamily } from './machine-configuration.ts';
import { sharedBusOf } from './shared-disk.ts';

const storage: Readonly<Record<string, readonly [ControllerFamily, ControllerModel]>> = {
  VirtualIDEController: ['ide', 'ide'],
  VirtualBusLogicController: ['scsi', 'buslogic'],
  VirtualLsiLogicController: ['scsi', 'lsilogic'],
  VirtualLsiLogicSASController: ['scsi', 'lsisas1068'],
  ParaVirtualSCSIController: ['scsi', 'pvscsi'],
  VirtualSCSIController: ['scsi', 'lsilogic'],
  VirtualSATAController: ['sata', 'ahci'],
  VirtualAHCIController: ['sata', 'ahci'],
  VirtualNVMEController: ['nvme', 'nvme'],
};

/** Every machine has them; adding or changing them changes nothing. */
const builtIn = new Set([
  'VirtualPCIController',
  'VirtualPS2Controller',
  'VirtualSIOController',
  'VirtualIDEController',
]);

export function isController(device: VirtualDevice): boolean {
  const type = device._typeName ?? '';
  return type in storage || builtIn.has(type);
}

export function applyControllerChange(
  draft: DeviceDraft,
  { operation, device }: VirtualDeviceConfigSpec,
  index: number,
): void {
  const { configuration: c } = draft;
  const type = device._typeName ?? '';
  if (builtIn.has(type)) {
    if (operation === 'remove') throw badDevice(index, 'device', `the ${type} is part of every machine`);
    const bus = (device as { readonly busNumber?: number }).busNumber ?? 0;
    if (type === 'VirtualIDEController') draft.keys.set(device.key, controllerKey('ide', bus === 1 ? 1 : 0));
    return;
  }
  const [family, model] = storage[type] as readonly [ControllerFamily, ControllerModel];
  const old = operation === 'add' ? undefined : c.controllers.find((known) => known.key === device.key);
  if (operation !== 'add' && old === undefined)
    throw badDevice(index, 'device.key', `the machine has no controller ${device.key}`);
  if (operation === 'remove') {
    if ([...c.disks, ...c.cdroms].some((known) => known.controllerKey === device.key)) {
      throw badDevice(index, 'device', 'the controller has devices; remove these too');
    }
    draft.configuration = { ...c, controllers: c.controllers.filter((known) => known !== old) };
    return;
  }
  const bus = old?.bus ?? freeBus(draft, family, (device as { readonly busNumber?: number }).busNumber, index);
  const key = controllerKey(family, bus);
  const controller: Controller = { key, family, model, bus, ...sharingOf(family, device, old, index) };
  draft.keys.set(device.key, controller.key);
  // Its disks are looked at: not every one can be shared.
  if (controller.sharedBus !== undefined && old?.sharedBus === undefined) {
    for (const disk of c.disks)
      if (disk.controllerKey === old?.key) draft.effects.push({ kind: 'share-disk', key: disk.key, index });
  }
  const controllers = [...c.controllers.filter((known) => known !== old), controller].sort((a, b) => a.key - b.key);
  draft.configuration = { ...c, controllers };
}

/** An edit that says nothing of it changes nothing. */
function sharingOf(
  family: ControllerFamily,
  device: VirtualDevice,
  old: Controller | undefined,
  index: number,
): Pick<Controller, 'sharedBus'> {
  if (family !== 'scsi') return {};
  const { sharedBus } = device as { readonly sharedBus?: string };
  if (sharedBus === undefined || sharedBus === '')
    return old?.sharedBus === undefined ? {} : { sharedBus: old.sharedBus };
  const shared = sharedBusOf(sharedBus);
  if (shared === undefined)
    throw badDevice(
      index,
      'device.sharedBus',
      `'${sharedBus.slice(0, 40)}' is none of noSharing, virtualSharing and physicalSharing`,
    );
  return shared;
}

function freeBus(draft: DeviceDraft, family: ControllerFamily, asked: number | undefined, index: number): number {
  const taken = new Set(
    draft.configuration.controllers.filter((known) => known.family === family).map((known) => known.bus),
  );
  const { buses } = families[family];
  if (asked !== undefined && asked >= 0 && asked < buses && !taken.has(asked)) return asked;
  // Clients that build several controllers give all of them bus 0 and a key of their own: the next one free it is.
  for (let bus = 0; bus < buses; bus += 1) if (!taken.has(bus)) return bus;
  throw badDevice(index, 'device.busNumber', `all ${buses} buses for ${family} controllers are taken`);
}
