export { Host, type HostOptions } from './host.ts';
export type { Console } from './machine/console/console-tickets.ts';
export { ControlGroups } from './resources/control-groups.ts';
