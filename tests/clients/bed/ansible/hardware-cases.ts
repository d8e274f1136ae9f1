import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AnsibleCase, TaskResult } from '../ansible-play.ts';
import { expect, mac, machine, named } from './own-machine.ts';

export const hardwareCases: readonly AnsibleCase[] = [
  {
    name: 'guest: more memory',
    module: 'vmware_guest',
    changed: true,
    args: (context) => ({ ...machine(context), hardware: { memory_mb: 128, num_cpus: 2 } }),
    check: async (context) =>
      expect(/^memSize = "128"$/m.test(await context.bed.vmx(named(context))), 'memSize = "128" in the .vmx'),
  },
  {
    name: 'guest_disk: added',
    module: 'vmware_guest_disk',
    changed: true,
    args: (context) => ({
      ...machine(context),
      disk: [
        {
          size_mb: 8,
          type: 'thin',
          datastore: 'datastore1',
          scsi_controller: 0,
          unit_number: 2,
          scsi_type: 'paravirtual',
        },
      ],
    }),
    async check(context) {
      const { size } = await stat(context.bed.path(named(context), `${named(context)}_2-flat.vmdk`));
      expect(size === 8 << 20, 'a file of 8 MiB');
    },
  },
  {
    name: 'guest_disk: grown',
    module: 'vmware_guest_disk',
    changed: true,
    args: (context) => ({
      ...machine(context),
      disk: [{ size_mb: 12, scsi_controller: 0, unit_number: 2, scsi_type: 'paravirtual', state: 'present' }],
    }),
    async check(context) {
      const { size } = await stat(context.bed.path(named(context), `${named(context)}_2-flat.vmdk`));
      expect(size === 12 << 20, `12 MiB, not ${size} bytes`);
    },
  },
  {
    name: 'guest_disk: removed',
    module: 'vmware_guest_disk',
    changed: true,
    args: (context) => ({
      ...machine(context),
      disk: [{ scsi_controller: 0, unit_number: 2, scsi_type: 'paravirtual', state: 'absent', destroy: true }],
    }),
    check: async (context) =>
      expect(!existsSync(context.bed.path(named(context), `${named(context)}_2-flat.vmdk`)), 'no file'),
  },
  {
    name: 'guest_controller: added',
    module: 'vmware_guest_controller',
    changed: true,
    args: (context) => ({ ...machine(context), controllers: [{ state: 'present', type: 'sata' }] }),
    check: async (context) => expect(/^sata0\.present = "TRUE"$/m.test(await context.bed.vmx(named(context))), 'sata0'),
  },
  {
    name: 'guest_network: added',
    module: 'vmware_guest_network',
    changed: true,
    args: (context) => ({
      ...machine(context),
      network_name: 'VM Network',
      device_type: 'e1000e',
      mac_address: mac(context, 57),
    }),
    check: async (context) => expect((await context.bed.vmx(named(context))).includes(mac(context, 57)), 'the card'),
  },
  {
    name: 'guest_network: removed',
    module: 'vmware_guest_network',
    changed: true,
    args: (context) => ({ ...machine(context), mac_address: mac(context, 57), state: 'absent' }),
    check: async (context) => expect(!(await context.bed.vmx(named(context))).includes(mac(context, 57)), 'no card'),
  },
  {
    name: 'guest_boot_manager',
    module: 'vmware_guest_boot_manager',
    changed: true,
    args: (context) => ({ name: named(context), boot_delay: 2000, boot_order: ['disk', 'ethernet'] }),
    check: async (context) =>
      expect(/^bios\.bootDelay = "2000"$/m.test(await context.bed.vmx(named(context))), 'bios.bootDelay in the .vmx'),
  },
  {
    name: 'guest_boot_info',
    module: 'vmware_guest_boot_info',
    changed: false,
    args: (context) => ({ name: named(context) }),
    check: async (_, { vm_boot_info: info }) => expect((info as TaskResult).current_boot_delay === 2000, 'the delay'),
  },
  {
    name: 'guest_video',
    module: 'vmware_guest_video',
    changed: true,
    args: (context) => ({ ...machine(context), use_auto_detect: false, display_number: 1, video_memory_mb: 32 }),
    check: async (context) =>
      expect(/^svga\.vramSize = "33554432"$/m.test(await context.bed.vmx(named(context))), 'svga.vramSize in the .vmx'),
  },
];
