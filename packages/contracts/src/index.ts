export type * from './block-work.ts';
export type * from './changed-blocks.ts';
export type * from './disk-copy.ts';
export * from './guest-work.ts';
export * from './hardware.ts';
export type * from './hot-plug.ts';
export * from './hypervisor.ts';
export type * from './machine-snapshots.ts';
export * from './store.ts';
