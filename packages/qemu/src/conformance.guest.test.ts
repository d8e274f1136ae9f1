import { busyboxGuest, hypervisorConformance } from '@hypostyle/contracts/testing';

hypervisorConformance({
  name: 'QEMU',
  driver: new URL('./testing/conformance-driver.ts', import.meta.url),
  guest: busyboxGuest,
});
