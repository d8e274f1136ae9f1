import type { ControllerFamily } from './machine-configuration.ts';

/** Keys of devices that every machine has, as VMware numbers them. */
export const fixedKeys = {
  pci: 100,
  ps2: 300,
  superIo: 400,
  video: 500,
  keyboard: 600,
  pointing: 700,
  vmci: 12000,
} as const;

interface Family {
  /** Key of bus 0. */
  readonly controller: number;
  /** Key of the device at bus 0, unit 0. */
  readonly device: number;
  readonly unitsPerBus: number;
  readonly buses: number;
  /** Unit that the controller itself takes. */
  readonly reservedUnit?: number;
}

export const families: Readonly<Record<ControllerFamily, Family>> = {
  ide: { controller: 200, device: 3000, unitsPerBus: 2, buses: 2 },
  scsi: { controller: 1000, device: 2000, unitsPerBus: 16, buses: 4, reservedUnit: 7 },
  sata: { controller: 15000, device: 16000, unitsPerBus: 30, buses: 4 },
  nvme: { controller: 31000, device: 32000, unitsPerBus: 15, buses: 4 },
};

export const nicKey = (number: number): number => 4000 + number;
export const floppyKey = (number: number): number => 8000 + number;
export const serialKey = (number: number): number => 9000 + number;
export const controllerKey = (family: ControllerFamily, bus: number): number => families[family].controller + bus;

export function deviceKey(family: ControllerFamily, bus: number, unit: number): number {
  return families[family].device + bus * families[family].unitsPerBus + unit;
}

/** Most NICs and serial ports of a machine. */
export const maximumNics = 10;
export const maximumSerials = 4;
