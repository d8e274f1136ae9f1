import { readFile } from 'node:fs/promises';
import type { AnsibleCase, TaskResult } from '../ansible-play.ts';
import { emptyMachine, guestMachine } from '../bed.ts';
import { expect, here, text } from './own-machine.ts';

export const readingCases: readonly AnsibleCase[] = [
  {
    name: 'about_info',
    module: 'vmware_about_info',
    args: () => ({}),
    changed: false,
    async check({ face }, { about_info: about }) {
      const type = face.endpoint === 'host' ? 'HostAgent' : 'VirtualCenter';
      expect((about as TaskResult).api_type === type, type);
    },
  },
  {
    name: 'datastore_info',
    module: 'vmware_datastore_info',
    args: here,
    changed: false,
    check: async (_, { datastores }) => expect(text(datastores).includes('"name":"datastore1"'), 'datastore1'),
  },
  {
    name: 'host_facts',
    module: 'vmware_host_facts',
    args: ({ face }) => ({ esxi_hostname: face.hostName }),
    async check({ face }, { ansible_facts: found }) {
      const { ansible_hostname: name, ansible_memtotal_mb: memory } = found as TaskResult;
      const kib = Number(/MemTotal: +(\d+)/.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]);
      expect(name === face.hostName && Math.abs(Number(memory) - kib / 1024) < 2, `${face.hostName}, ${kib} KiB`);
    },
  },
  {
    name: 'vm_info',
    module: 'vmware_vm_info',
    args: () => ({}),
    changed: false,
    async check({ bed }, { virtual_machines: machines }) {
      const found = machines as { guest_name: string; power_state: string; uuid: string }[];
      for (const name of [emptyMachine, guestMachine]) {
        const state = found.find(({ guest_name: own }) => own === name)?.power_state;
        const runs = (await bed.engineOf(name)) !== undefined;
        expect((state === 'poweredOn') === runs, `${name} ${runs ? 'runs' : 'does not run'}`);
      }
    },
  },
];
