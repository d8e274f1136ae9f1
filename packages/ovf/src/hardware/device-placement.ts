import type { ControllerDescription } from './hardware-description.ts';

/** Units of one controller that devices can take; unit 7 of SCSI is the controller itself. */
const unitsOf: Readonly<Record<ControllerDescription['family'], readonly number[]>> = {
  ide: [0, 1],
  scsi: Array.from({ length: 16 }, (_, unit) => unit).filter((unit) => unit !== 7),
  sata: Array.from({ length: 30 }, (_, unit) => unit),
  nvme: Array.from({ length: 15 }, (_, unit) => unit),
};

const paravirtualUnits = Array.from({ length: 65 }, (_, unit) => unit).filter((unit) => unit !== 7);

/** Gives every device a unit of its own. */
export class DevicePlacement {
  readonly #taken = new Map<string, Set<number>>();

  /** Whether no unit is free. */
  isFull(controller: ControllerDescription): boolean {
    return units(controller).every((unit) => this.#taken.get(controller.instanceId)?.has(unit) ?? false);
  }

  /** Takes a unit; false when it is taken already or the controller has no such unit. */
  take(controller: ControllerDescription, unit: number): boolean {
    const taken = this.#taken.get(controller.instanceId) ?? new Set();
    this.#taken.set(controller.instanceId, taken);
    if (taken.has(unit) || !units(controller).includes(unit)) return false;
    taken.add(unit);
    return true;
  }

  /** Takes the lowest free unit; absent when the controller is full. */
  takeFree(controller: ControllerDescription): number | undefined {
    return units(controller).find((unit) => this.take(controller, unit));
  }
}

function units(controller: ControllerDescription): readonly number[] {
  return controller.model === 'pvscsi' ? paravirtualUnits : unitsOf[controller.family];
}
