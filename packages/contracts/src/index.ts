export * from './hardware.ts';
export * from './hypervisor.ts';
export * from './store.ts';
