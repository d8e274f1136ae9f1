/** One `-device` as JSON. */
export type Device = { readonly driver: string } & { readonly [property: string]: unknown };

/** Names in the engine say what they are, so that events and statistics lead back to the owner's ids. */
export const deviceId = {
  controller: (id: string) => `controller-${id}`,
  disk: (id: string) => `disk-${id}`,
  cdrom: (id: string) => `cdrom-${id}`,
  floppy: (id: string) => `floppy-${id}`,
  nic: (id: string) => `nic-${id}`,
  agentPort: 'agent-port',
} as const;

/** The owner's disk id in a device id or QOM path; undefined when it is no disk. */
export function diskIdOf(device: string): string | undefined {
  return /(?:^|\/)disk-([A-Za-z0-9._-]+)(?:\/[a-z-]+)?$/.exec(device)?.[1];
}

/** Slots of the first PCI bus, fixed so that a guest finds its devices where they were when others come or go. */
export const pciSlot = {
  display: 2,
  virtioSerial: 3,
  balloon: 4,
  rng: 5,
  pointer: 6,
  scsi: 7,
  ahci: 11,
  nvme: 15,
  nic: 19,
  xhci: 29,
  usb: 30,
  sound: 31,
} as const;

/** Most controllers of one family. */
export const maxControllers = 4;
export const maxNics = 10;

/** Slot as `addr` property. */
export function pciAddress(slot: number): string {
  return `0x${slot.toString(16)}`;
}
