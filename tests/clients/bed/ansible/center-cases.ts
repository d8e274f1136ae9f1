import { existsSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { memoryMiBOf } from '../../../harness/engines.ts';
import type { AnsibleCase, AnsibleContext, TaskResult } from '../ansible-play.ts';
import { emptyMachine } from '../bed.ts';
import { expect, machine, named, text } from './own-machine.ts';

export const centerCases: readonly AnsibleCase[] = (
  [
    {
      name: 'datacenter',
      module: 'vmware_datacenter',
      changed: true,
      args: () => ({ datacenter_name: 'Second site', state: 'present' }),
    },
    {
      name: 'cluster',
      module: 'vmware_cluster',
      changed: true,
      args: () => ({ datacenter_name: 'Second site', cluster_name: 'cluster one' }),
    },
    {
      name: 'cluster_info',
      module: 'vmware_cluster_info',
      args: () => ({ datacenter: 'Second site' }),
      check: async (_: AnsibleContext, { clusters }: TaskResult) =>
        expect(text(clusters).includes('cluster one'), 'it'),
    },
    {
      name: 'cluster: removed',
      module: 'vmware_cluster',
      changed: true,
      args: () => ({ datacenter_name: 'Second site', cluster_name: 'cluster one', state: 'absent' }),
    },
    {
      name: 'datacenter: removed',
      module: 'vmware_datacenter',
      changed: true,
      args: () => ({ datacenter_name: 'Second site', state: 'absent' }),
    },
    {
      name: 'folder',
      module: 'vcenter_folder',
      changed: true,
      args: () => ({ datacenter: 'Datacenter', folder_name: 'web', folder_type: 'vm' }),
    },
    {
      name: 'custom_attribute',
      module: 'vmware_custom_attribute',
      changed: true,
      args: () => ({ custom_attribute: 'owner', object_type: 'VirtualMachine' }),
    },
    {
      name: 'guest_custom_attributes',
      module: 'vmware_guest_custom_attributes',
      changed: true,
      args: () => ({ name: 'ansible-center', attributes: [{ name: 'owner', value: 'web team' }] }),
      async check({ face }: AnsibleContext) {
        const value = await face.property(await face.machine('ansible-center'), 'customValue');
        expect(text(value).includes('web team'), 'the value');
      },
    },
    {
      name: 'resource_pool',
      module: 'vmware_resource_pool',
      changed: true,
      args: ({ face }: AnsibleContext) => ({
        ...{ datacenter: 'Datacenter', esxi_hostname: face.hostName, resource_pool: 'batch' },
        ...{ mem_shares: 'low', cpu_limit: 2000 },
      }),
    },
    {
      name: 'resource_pool: removed',
      module: 'vmware_resource_pool',
      changed: true,
      args: ({ face }: AnsibleContext) => ({
        ...{ datacenter: 'Datacenter', esxi_hostname: face.hostName, resource_pool: 'batch', state: 'absent' },
      }),
    },
    {
      name: 'local_role_manager',
      module: 'vmware_local_role_manager',
      changed: true,
      args: () => ({ local_role_name: 'operators', local_privilege_ids: ['VirtualMachine.Interact.PowerOn'] }),
    },
    {
      name: 'local_role_manager: removed',
      module: 'vmware_local_role_manager',
      changed: true,
      args: () => ({ local_role_name: 'operators', state: 'absent' }),
    },
    {
      name: 'guest_move',
      module: 'vmware_guest_move',
      changed: true,
      args: () => ({ datacenter: 'Datacenter', name: 'ansible-center', dest_folder: '/Datacenter/vm/web' }),
      check: async ({ face }: AnsibleContext) => {
        await face.machine('web/ansible-center');
      },
    },
    {
      name: 'guest_move: back',
      module: 'vmware_guest_move',
      changed: true,
      args: () => ({ datacenter: 'Datacenter', name: 'ansible-center', dest_folder: '/Datacenter/vm' }),
    },
    {
      name: 'guest: a template',
      module: 'vmware_guest',
      changed: true,
      quick: true,
      args: (context: AnsibleContext) => ({ ...machine(context), is_template: true }),
      async check(context: AnsibleContext) {
        const template = await context.face.property(await context.face.machine(named(context)), 'config.template');
        expect(template === true, 'a template');
      },
    },
    {
      name: 'guest: from a template',
      module: 'vmware_guest',
      changed: true,
      quick: true,
      args: ({ face }: AnsibleContext) => ({
        ...{ datacenter: 'Datacenter', name: 'ansible-copy', template: 'ansible-center', esxi_hostname: face.hostName },
        ...{ folder: '/Datacenter/vm/', state: 'poweredon', hardware: { memory_mb: 64, num_cpus: 2 } },
        wait_for_customization: false,
      }),
      async check({ bed }: AnsibleContext) {
        await bed.isSeen('ansible-copy', 'poweredOn', 'host');
        expect(memoryMiBOf(await bed.engine('ansible-copy')) === 64, 'an engine of 64 MiB');
        const { size } = await stat(bed.path('ansible-copy', 'ansible-copy-flat.vmdk'));
        expect(size === 32 << 20, 'a disk of its own');
      },
    },
    {
      name: 'guest: the copy is removed',
      module: 'vmware_guest',
      changed: true,
      quick: true,
      args: () => ({ datacenter: 'Datacenter', name: 'ansible-copy', state: 'absent', force: true }),
      check: async ({ bed }: AnsibleContext) => expect(!existsSync(bed.path('ansible-copy')), 'no folder'),
    },
    {
      name: 'guest_instant_clone',
      module: 'vmware_guest_instant_clone',
      changed: true,
      before: ({ bed }: AnsibleContext) => bed.power(emptyMachine, 'poweredOn'),
      args: ({ face }: AnsibleContext) => ({
        ...{ datacenter: 'Datacenter', datastore: 'datastore1', host: face.hostName, folder: '/Datacenter/vm' },
        ...{ name: 'ansible-instant', parent_vm: emptyMachine },
      }),
      async check({ bed, face }: AnsibleContext, result: TaskResult) {
        await bed.isSeen('ansible-instant', 'poweredOn', 'host');
        const engine = await bed.engine('ansible-instant');
        expect(
          engine.arguments.some((one) => one.includes('ansible-instant')),
          'an engine with files of its own',
        );
        const { instance_uuid: told } = result.vm_info as { readonly instance_uuid?: string };
        const machine = await face.machine('ansible-instant');
        expect(told === (await face.property(machine, 'config.instanceUuid')), 'the identity of the clone');
      },
    },
    {
      name: 'guest: the instant clone is removed',
      module: 'vmware_guest',
      changed: true,
      args: () => ({ datacenter: 'Datacenter', name: 'ansible-instant', state: 'absent', force: true }),
      check: async ({ bed, face }: AnsibleContext) => {
        expect(!existsSync(bed.path('ansible-instant')), 'no folder');
        // The layer that the clone stood on goes with the next of them, or when somebody asks.
        await face.task(await face.machine(emptyMachine), 'ConsolidateVMDisks_Task');
        const left = readdirSync(bed.path(emptyMachine)).filter((name) => /-00000\d\.vmdk$/.test(name));
        expect(left.length === 0, 'no layer of the original');
      },
    },
    {
      name: 'guest: a template no more',
      module: 'vmware_guest',
      changed: true,
      quick: true,
      args: (context: AnsibleContext) => ({ ...machine(context), is_template: false }),
    },
    {
      name: 'guest_register_operation: unregistered',
      module: 'vmware_guest_register_operation',
      changed: true,
      args: ({ face }: AnsibleContext) => ({
        ...{ datacenter: 'Datacenter', folder: '/vm', esxi_hostname: face.hostName, name: 'ansible-center' },
        state: 'absent',
      }),
      check: async (context: AnsibleContext) => {
        expect(existsSync(context.bed.path('ansible-center', 'ansible-center.vmx')), 'its files are kept');
      },
    },
    {
      name: 'guest_register_operation: registered',
      module: 'vmware_guest_register_operation',
      changed: true,
      args: ({ face }: AnsibleContext) => ({
        ...{ datacenter: 'Datacenter', folder: '/vm', esxi_hostname: face.hostName, name: 'ansible-center' },
        ...{ path: '[datastore1] ansible-center/ansible-center.vmx', state: 'present' },
      }),
      check: async ({ face }: AnsibleContext) => {
        await face.machine('ansible-center');
      },
    },
  ] as const
).map((each) => ({ ...each, at: 'center' as const }));
