import { existsSync } from 'node:fs';
import type { AnsibleCase, AnsibleContext, TaskResult } from '../ansible-play.ts';
import { engineOf, expect, here, machine, named, seen, text } from './own-machine.ts';

const host = ({ face }: AnsibleContext) => ({ esxi_hostname: face.hostName });
const defaults = { start_delay: 0, stop_delay: 5, wait_for_heartbeat: false };

/** The host of the machine: what it tells of itself, and what it does with machines as it starts. */
export const hostCases: readonly AnsibleCase[] = [
  {
    name: 'vswitch_info',
    module: 'vmware_vswitch_info',
    args: host,
    changed: false,
    check: async (_, { hosts_vswitch_info: found }) => expect(text(found).includes('"vSwitch0"'), 'vSwitch0'),
  },
  {
    name: 'portgroup_info',
    module: 'vmware_portgroup_info',
    args: host,
    changed: false,
    check: async (_, { hosts_portgroup_info: found }) =>
      expect(text(found).includes('"portgroup":"VM Network"'), 'VM Network'),
  },
  {
    name: 'host_vmnic_info',
    module: 'vmware_host_vmnic_info',
    args: host,
    changed: false,
    async check({ face }, { hosts_vmnics_info: found }) {
      const { pnic } = await face.property<{ pnic: readonly { device: string }[] }>(face.hostSystem, 'config.network');
      for (const { device } of pnic) expect(text(found).includes(`"${device}"`), device);
    },
  },
  {
    name: 'host_dns_info',
    module: 'vmware_host_dns_info',
    args: host,
    changed: false,
    check: async ({ face }, { hosts_dns_info: found }) => expect(text(found).includes(face.hostName), face.hostName),
  },
  { name: 'host_config_info', module: 'vmware_host_config_info', args: host, changed: false },
  { name: 'host_capability_info', module: 'vmware_host_capability_info', args: host, changed: false },
  {
    name: 'resource_pool_info',
    module: 'vmware_resource_pool_info',
    args: () => ({}),
    changed: false,
    check: async (_, { resource_pool_info: found }) => expect(text(found).includes('"Resources"'), 'the root pool'),
  },
  {
    name: 'vm_config_option',
    module: 'vmware_vm_config_option',
    args: (context) => ({ ...here(context), ...host(context), get_guest_os_ids: true }),
    check: async (_, { instance }) => expect(text(instance).includes('debian11_64Guest'), 'guests that it knows'),
  },
  {
    name: 'host_auto_start: defaults',
    module: 'vmware_host_auto_start',
    changed: true,
    args: (context) => ({
      ...host(context),
      system_defaults: { ...defaults, enabled: true, stop_action: 'powerOff' },
    }),
  },
  {
    name: 'host_auto_start: a machine',
    module: 'vmware_host_auto_start',
    changed: true,
    args: (context) => ({
      ...host(context),
      name: named(context),
      system_defaults: { ...defaults, enabled: true, stop_action: 'powerOff' },
      power_info: { start_action: 'powerOn', start_order: 1, start_delay: 0, stop_action: 'systemDefault' },
    }),
    async check(context) {
      const { face } = context;
      const manager = await face.autoStart();
      await face.client.call(manager, 'AutoStartPowerOn', {});
      await seen(context, 'poweredOn');
      await engineOf(context);
      await face.client.call(manager, 'AutoStartPowerOff', {});
      await seen(context, 'poweredOff');
    },
  },
  {
    name: 'host_auto_start: switched off',
    module: 'vmware_host_auto_start',
    changed: true,
    args: (context) => ({
      ...host(context),
      name: named(context),
      system_defaults: { ...defaults, enabled: false, stop_action: 'powerOff' },
      power_info: { start_action: 'none', stop_action: 'none' },
    }),
  },
];

/** More that is done to a machine that is off. */
export const changeCases: readonly AnsibleCase[] = [
  {
    name: 'guest_serial_port',
    module: 'vmware_guest_serial_port',
    changed: true,
    args: (context) => ({
      name: named(context),
      backings: [{ type: 'file', file_path: `[datastore1] ${named(context)}/serial.log`, yield_on_poll: true }],
    }),
    check: async (context) =>
      expect(/^serial0\.fileType = "file"$/m.test(await context.bed.vmx(named(context))), 'serial0 in the .vmx'),
  },
  {
    name: 'guest_disk: thick, on a controller of its own',
    module: 'vmware_guest_disk',
    changed: true,
    args: (context) => ({
      ...machine(context),
      disk: [
        {
          ...{ size_mb: 4, type: 'eagerzeroedthick', datastore: 'datastore1' },
          ...{ scsi_controller: 1, unit_number: 0, scsi_type: 'lsilogic' },
        },
      ],
    }),
    check: async (context) =>
      expect(/^scsi1\.virtualDev = "lsilogic"$/m.test(await context.bed.vmx(named(context))), 'scsi1 in the .vmx'),
  },
  {
    name: 'guest_snapshot: with its memory',
    module: 'vmware_guest_snapshot',
    changed: true,
    before: async (context) => context.bed.power(named(context), 'poweredOn'),
    args: (context) => ({
      ...machine(context),
      ...{ folder: `/${context.face.datacenter}/vm`, state: 'present' },
      ...{ snapshot_name: 'alive', memory_dump: true },
    }),
    async check(context) {
      const found = await context.face.property<TaskResult>(
        await context.face.machine(named(context)),
        'snapshot.rootSnapshotList',
      );
      expect(text(found).includes('"state":"poweredOn"'), text(found));
    },
  },
  {
    name: 'guest_snapshot: renamed',
    module: 'vmware_guest_snapshot',
    changed: true,
    args: (context) => ({
      ...machine(context),
      ...{ folder: `/${context.face.datacenter}/vm`, state: 'present' },
      ...{ snapshot_name: 'alive', new_snapshot_name: 'awake', new_description: 'renamed' },
    }),
  },
  {
    name: 'guest_snapshot: removed while it runs',
    module: 'vmware_guest_snapshot',
    changed: true,
    args: (context) => ({
      ...machine(context),
      ...{ folder: `/${context.face.datacenter}/vm`, state: 'absent', snapshot_name: 'awake' },
    }),
    async check(context) {
      await engineOf(context);
      expect(!existsSync(context.bed.path(named(context), `${named(context)}-000001.vmdk`)), 'no delta');
      await context.bed.power(named(context), 'poweredOff');
    },
  },
];
