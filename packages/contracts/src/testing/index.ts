export { type BootableDiskOptions, bootableDisk } from './bootable-disk.ts';
export { busyboxGuest } from './busybox-guest.ts';
export type { ConformanceGuest, GuestOptions, GuestSession } from './conformance-guest.ts';
export { GuestConsole } from './guest-console.ts';
export { guestAccounts } from './guest-init.ts';
export { type HypervisorConformanceOptions, hypervisorConformance } from './hypervisor-conformance.ts';
export { installerDisc } from './installer-disc.ts';
export { type StoreConformanceOptions, storeConformance } from './store-conformance.ts';
