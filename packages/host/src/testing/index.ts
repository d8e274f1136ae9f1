export { FakeComputer } from './fake-engine.ts';
export { FakeHypervisor } from './fake-hypervisor.ts';
export { filesAtRest } from './files-at-rest.ts';
export { Computer, type ComputerIdentity, Daemon, newDisk, rootPool, smallMachine, vmFolder } from './host-fixture.ts';
export { gateFiles } from './mortal-files.ts';
export { MortalStore } from './mortal-store.ts';
export { SteppedClock } from './stepped-clock.ts';
