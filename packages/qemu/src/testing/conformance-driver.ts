import { QemuHypervisor } from '../qemu-hypervisor.ts';

/** The conformance suite's way in. */
export function open(folder: string): QemuHypervisor {
  return new QemuHypervisor({ cacheDirectory: folder });
}
