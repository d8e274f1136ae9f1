import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnsibleCase, TaskResult } from '../ansible-play.ts';
import { guestMachine } from '../bed.ts';
import { expect, here, inGuest, named } from './own-machine.ts';

export const guestCases: readonly AnsibleCase[] = [
  {
    name: 'guest_tools_wait',
    module: 'vmware_guest_tools_wait',
    before: ({ bed }) => bed.guestReady(),
    args: (context) => ({ ...here(context), name: guestMachine, folder: `/${context.face.datacenter}/vm` }),
  },
  {
    name: 'guest_tools_info',
    module: 'vmware_guest_tools_info',
    before: ({ bed }) => bed.guestReady(),
    args: (context) => ({ ...here(context), name: guestMachine }),
    check: async (_, { vmtools_info: info }) =>
      expect((info as TaskResult).vm_tools_running_status === 'guestToolsRunning', 'tools that run'),
  },
  {
    name: 'vm_shell',
    module: 'vmware_vm_shell',
    changed: true,
    quick: true,
    before: ({ bed }) => bed.guestReady(),
    args: (context) => ({
      ...inGuest(context),
      vm_shell: '/bin/sh',
      vm_shell_args: `-c 'id -u >/tmp/by-ansible-${context.face.endpoint}'`,
      wait_for_process: true,
      timeout: 120,
    }),
    async check({ bed, face }) {
      const said = await bed.inGuest(`cat /tmp/by-ansible-${face.endpoint}`);
      expect(said === '0', `0 in the guest's file, not ${said}`);
    },
  },
  {
    name: 'guest_file_operation: folder',
    module: 'vmware_guest_file_operation',
    before: ({ bed }) => bed.guestReady(),
    changed: true,
    args: (context) => ({
      ...inGuest(context),
      directory: { path: `/root/${named(context)}`, operation: 'create', recurse: false },
    }),
    check: async ({ bed, face }) => {
      await bed.inGuest(`test -d /root/ansible-${face.endpoint}`);
    },
  },
  {
    name: 'guest_file_operation: copy',
    module: 'vmware_guest_file_operation',
    changed: true,
    before: async (context) => writeFile(join(context.face.home, 'sent'), 'sent by Ansible'),
    args: (context) => ({
      ...inGuest(context),
      copy: { src: join(context.face.home, 'sent'), dest: `/root/${named(context)}/sent`, overwrite: true },
    }),
    async check(context) {
      const said = await context.bed.inGuest(`cat /root/${named(context)}/sent`);
      expect(said === 'sent by Ansible', `the file in the guest, not ${said}`);
    },
  },
  {
    name: 'guest_file_operation: fetch',
    module: 'vmware_guest_file_operation',
    args: (context) => ({
      ...inGuest(context),
      fetch: { src: `/root/${named(context)}/sent`, dest: join(context.face.home, 'fetched') },
    }),
    check: async ({ face }) =>
      expect((await readFile(join(face.home, 'fetched'), 'utf8')) === 'sent by Ansible', 'what was sent'),
  },
  {
    name: 'guest_sendkey',
    module: 'vmware_guest_sendkey',
    changed: true,
    before: ({ bed }) => bed.guestReady(),
    args: (context) => ({
      ...here(context),
      name: guestMachine,
      folder: `/${context.face.datacenter}/vm`,
      string_send: `echo typed >/tmp/typed_${context.face.endpoint}`,
      sleep_time: 0,
    }),
  },
  {
    name: 'guest_sendkey: ENTER',
    module: 'vmware_guest_sendkey',
    changed: true,
    args: (context) => ({
      ...here(context),
      name: guestMachine,
      folder: `/${context.face.datacenter}/vm`,
      keys_send: ['ENTER'],
    }),
    async check({ bed, face }) {
      const file = `/tmp/typed_${face.endpoint}`;
      const said = await bed.inGuest(
        `n=0; while [ ! -s ${file} ] && [ $n -lt 60 ]; do sleep 1; n=$((n+1)); done; cat ${file}`,
      );
      expect(said === 'typed', `what was typed in the guest's shell, not ${said}`);
    },
  },
  {
    name: 'connection by VMware tools',
    module: 'raw',
    play: 'guest',
    before: ({ bed }) => bed.guestReady(),
    args: ({ face }) => ({ _raw_params: `hostname | tee /tmp/by-tools-${face.endpoint}`, executable: '/bin/sh' }),
    async check({ bed, face }, { stdout }) {
      expect(`${stdout}`.trim() === 'test-guest', "the guest's name");
      expect((await bed.inGuest(`cat /tmp/by-tools-${face.endpoint}`)) === 'test-guest', "the guest's file");
    },
  },
];
