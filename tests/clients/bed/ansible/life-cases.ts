import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { memoryMiBOf } from '../../../harness/engines.ts';
import type { AnsibleCase, TaskResult } from '../ansible-play.ts';
import { engineOf, expect, mac, machine, named, noEngine, seen, text } from './own-machine.ts';

export const lifeCases: readonly AnsibleCase[] = [
  {
    name: 'guest: made and started',
    module: 'vmware_guest',
    quick: true,
    changed: true,
    args: (context) => ({
      ...machine(context),
      folder: `/${context.face.datacenter}/vm`,
      esxi_hostname: context.face.hostName,
      guest_id: 'debian11_64Guest',
      annotation: 'made by a playbook',
      state: 'poweredon',
      hardware: { memory_mb: 96, num_cpus: 2, num_cpu_cores_per_socket: 2, scsi: 'paravirtual', boot_firmware: 'bios' },
      disk: [
        { size_mb: 32, type: 'thin', datastore: 'datastore1' },
        { size_mb: 16, type: 'thin', datastore: 'datastore1' },
      ],
      networks: [{ name: 'VM Network', device_type: 'vmxnet3', mac: mac(context, 56) }],
      advanced_settings: [{ key: 'guestinfo.role', value: 'web' }],
    }),
    async check(context) {
      await seen(context, 'poweredOn');
      const engine = await engineOf(context);
      expect(memoryMiBOf(engine) === 96, 'an engine of 96 MiB');
      expect(
        engine.arguments.some((one) => one.includes(mac(context, 56))),
        'the address of its card',
      );
      const { size } = await stat(context.bed.path(named(context), `${named(context)}-flat.vmdk`));
      expect(size === 32 << 20, 'a disk of 32 MiB');
      expect(/^guestinfo\.role = "web"$/m.test(await context.bed.vmx(named(context))), 'its setting');
    },
  },
  {
    name: 'guest: again',
    module: 'vmware_guest',
    changed: false,
    args: (context) => ({ ...machine(context), state: 'poweredon', hardware: { memory_mb: 96, num_cpus: 2 } }),
  },
  {
    name: 'guest_info',
    module: 'vmware_guest_info',
    changed: false,
    args: machine,
    async check(context, { instance }) {
      const found = instance as TaskResult;
      expect(found.hw_power_status === 'poweredOn' && found.annotation === 'made by a playbook', 'what was made');
      expect((await engineOf(context)).arguments.includes(`${found.hw_product_uuid}`), "the engine's UUID");
    },
  },
  {
    name: 'guest_find',
    module: 'vmware_guest_find',
    args: (context) => ({ name: named(context) }),
    check: async ({ face }, { folders }) => expect(text(folders) === text([`/${face.datacenter}/vm`]), 'its folder'),
  },
  {
    name: 'guest_disk_info',
    module: 'vmware_guest_disk_info',
    args: machine,
    async check(_, { guest_disk_info: disks }) {
      const sizes = Object.values(disks as Record<string, { capacity_in_kb: number }>).map(
        (each) => each.capacity_in_kb,
      );
      expect(text(sizes) === text([32 * 1024, 16 * 1024]), 'two disks');
    },
  },
  {
    name: 'guest_powerstate: suspended',
    module: 'vmware_guest_powerstate',
    changed: true,
    args: (context) => ({ ...machine(context), state: 'suspended' }),
    async check(context) {
      await seen(context, 'suspended');
      expect((await context.bed.engineOf(named(context))) === undefined, 'no engine');
    },
  },
  {
    name: 'guest_powerstate: powered on',
    module: 'vmware_guest_powerstate',
    changed: true,
    args: (context) => ({ ...machine(context), state: 'powered-on', force: true }),
    async check(context) {
      await seen(context, 'poweredOn');
      await engineOf(context);
    },
  },
  {
    name: 'guest_powerstate: restarted',
    module: 'vmware_guest_powerstate',
    changed: true,
    args: (context) => ({ ...machine(context), state: 'restarted' }),
    async check(context) {
      await engineOf(context);
    },
  },
  {
    name: 'guest_screenshot',
    module: 'vmware_guest_screenshot',
    changed: true,
    args: machine,
    check: async (context) => expect(existsSync(context.bed.path(named(context), `${named(context)}-0.png`)), 'a file'),
  },
  {
    name: 'guest_powerstate: powered off',
    module: 'vmware_guest_powerstate',
    quick: true,
    changed: true,
    args: (context) => ({ ...machine(context), state: 'powered-off' }),
    check: noEngine,
  },
  {
    name: 'guest_powerstate: off again',
    module: 'vmware_guest_powerstate',
    changed: false,
    args: (context) => ({ ...machine(context), state: 'powered-off' }),
  },
];
