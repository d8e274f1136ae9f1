import type { HypervisorCapabilities } from '@hypostyle/contracts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import { driveNode } from './hardware.ts';

/** What is said of a machine whose EFI firmware finds none of its disks; undefined where it finds one, or has none. */
export function unbootableByEfi(
  c: Pick<MachineConfiguration, 'firmware' | 'disks' | 'controllers'>,
  { efiBootControllers: models }: Pick<HypervisorCapabilities, 'efiBootControllers'>,
): string | undefined {
  const [first] = c.disks;
  if (c.firmware !== 'efi' || first === undefined) return undefined;
  const modelOf = (key: number) => c.controllers.find((controller) => controller.key === key)?.model ?? 'ide';
  if (c.disks.some(({ controllerKey }) => models.includes(modelOf(controllerKey)))) return undefined;
  return `The disk ${driveNode(c, first)} is at a ${modelOf(first.controllerKey)} controller, on which the EFI firmware of this host finds no system: the machine boots from ${models.join(', ')} disks only. Give its first disk another controller, or use BIOS.`;
}
