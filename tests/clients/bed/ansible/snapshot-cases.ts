import { existsSync } from 'node:fs';
import type { AnsibleCase } from '../ansible-play.ts';
import { expect, machine, named, text } from './own-machine.ts';

export const snapshotCases: readonly AnsibleCase[] = [
  {
    name: 'guest_snapshot: taken',
    module: 'vmware_guest_snapshot',
    changed: true,
    quick: true,
    args: (context) => ({
      ...machine(context),
      ...{ folder: `/${context.face.datacenter}/vm`, state: 'present' },
      ...{ snapshot_name: 'first', description: 'before' },
    }),
    check: async (context) =>
      expect(existsSync(context.bed.path(named(context), `${named(context)}-000001.vmdk`)), 'a delta'),
  },
  {
    name: 'guest_snapshot_info',
    module: 'vmware_guest_snapshot_info',
    args: (context) => ({ ...machine(context), folder: `/${context.face.datacenter}/vm` }),
    check: async (_, { guest_snapshots: found }) => expect(/"name":"first"/.test(text(found)), 'the snapshot'),
  },
  {
    name: 'guest_snapshot: reverted',
    module: 'vmware_guest_snapshot',
    changed: true,
    args: (context) => ({
      ...machine(context),
      ...{ folder: `/${context.face.datacenter}/vm`, state: 'revert', snapshot_name: 'first' },
    }),
  },
  {
    name: 'guest_snapshot: removed',
    module: 'vmware_guest_snapshot',
    changed: true,
    quick: true,
    args: (context) => ({
      ...machine(context),
      ...{ folder: `/${context.face.datacenter}/vm`, state: 'remove_all' },
    }),
    check: async (context) =>
      expect(!existsSync(context.bed.path(named(context), `${named(context)}-000001.vmdk`)), 'no delta'),
  },
];
