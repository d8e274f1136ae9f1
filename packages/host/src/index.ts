export { Host, type HostOptions } from './host.ts';
export type { Console } from './machine/console/console-tickets.ts';
