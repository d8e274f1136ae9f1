export { QemuHypervisor, type QemuHypervisorOptions } from './qemu-hypervisor.ts';
