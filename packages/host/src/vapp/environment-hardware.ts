import type { ControllerHardware, MachineHardware } from '@hypostyle/contracts';
import { HostError } from '../errors.ts';

/** Ports that every AHCI controller of ours has, and most controllers of it. */
const ahciPorts = 6;
const ahciBuses = 4;

/**
 * Puts a disc into the first CD-ROM drive that has none. A machine without such a drive gets one for this run: on IDE
 * 1:0, else on AHCI. Throws `device-invalid` when there is no place at all.
 */
export function withEnvironmentDisc(hardware: MachineHardware, path: string): MachineHardware {
  const empty = hardware.cdroms.findIndex((cdrom) => cdrom.path === undefined);
  if (empty >= 0) {
    return { ...hardware, cdroms: hardware.cdroms.map((cdrom, at) => (at === empty ? { ...cdrom, path } : cdrom)) };
  }
  const { controller, unit } = freePlace(hardware);
  const known = hardware.controllers.some(({ id }) => id === controller.id);
  return {
    ...hardware,
    controllers: known ? hardware.controllers : [...hardware.controllers, controller],
    cdroms: [...hardware.cdroms, { id: `${controller.id}u${unit}`, controllerId: controller.id, unit, path }],
  };
}

/** Tells the guest `guestinfo.ovfEnv`, where there is one. */
export function withGuestInfo(hardware: MachineHardware, path: string | undefined): MachineHardware {
  return path === undefined ? hardware : { ...hardware, guestData: [{ name: 'guestinfo.ovfEnv', path }] };
}

function freePlace(hardware: MachineHardware): { readonly controller: ControllerHardware; readonly unit: number } {
  const taken = new Set([...hardware.disks, ...hardware.cdroms].map((drive) => `${drive.controllerId}:${drive.unit}`));
  const ide = hardware.controllers.find(({ model, bus }) => model === 'ide' && bus === 1) ?? {
    id: 'ide1',
    model: 'ide' as const,
    bus: 1,
  };
  if (!taken.has(`${ide.id}:0`)) return { controller: ide, unit: 0 };
  const ahci = hardware.controllers.filter(({ model }) => model === 'ahci');
  for (const controller of ahci) {
    for (let unit = 0; unit < ahciPorts; unit += 1) {
      if (!taken.has(`${controller.id}:${unit}`)) return { controller, unit };
    }
  }
  for (let bus = 0; bus < ahciBuses; bus += 1) {
    if (!ahci.some((controller) => controller.bus === bus)) {
      return { controller: { id: `sata${bus}`, model: 'ahci', bus }, unit: 0 };
    }
  }
  throw new HostError('device-invalid', 'the disc with the OVF environment has no place: every drive is in use');
}
