import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryMiBOf } from '../../harness/engines.ts';
import {
  type AnsibleCase,
  type AnsibleContext,
  ansibleEnvironment,
  playCases,
  type TaskResult,
} from './ansible-play.ts';
import { emptyMachine, guestMachine } from './bed.ts';
import { endpoints, type TestClient } from './case.ts';
import { failureOf, runCommand, secondsSince } from './command.ts';

// Debian's Ansible with community.vmware. Its modules of tags and categories need VMware's Automation SDK for Python,
// which Debian has not, and are not run.
const expect = (condition: unknown, what: string) => {
  if (!condition) throw new Error(what);
};
const named = ({ face }: AnsibleContext) => `ansible-${face.endpoint}`;
const here = ({ face }: AnsibleContext) => ({ datacenter: face.datacenter });
const machine = (context: AnsibleContext) => ({ ...here(context), name: named(context) });
const inGuest = (context: AnsibleContext) => ({
  ...here(context),
  vm_id: guestMachine,
  vm_username: 'root',
  vm_password: 'guest-secret-1',
});
const seen = (context: AnsibleContext, state: string) => context.bed.isSeen(named(context), state, 'host');
const engineOf = (context: AnsibleContext) => context.bed.engine(named(context));
const noEngine = async (context: AnsibleContext) => {
  await seen(context, 'poweredOff');
  expect((await context.bed.engineOf(named(context))) === undefined, 'no engine');
};
const text = (value: unknown) => JSON.stringify(value);
const mac = ({ face }: AnsibleContext, last: number) => `00:50:56:1${face.endpoint === 'host' ? 1 : 2}:34:${last}`;

const facts: readonly AnsibleCase[] = [
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
    quick: true,
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

const life: readonly AnsibleCase[] = [
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
    quick: true,
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

const hardware: readonly AnsibleCase[] = [
  {
    name: 'guest: more memory',
    module: 'vmware_guest',
    changed: true,
    quick: true,
    args: (context) => ({ ...machine(context), hardware: { memory_mb: 128, num_cpus: 2 } }),
    check: async (context) =>
      expect(/^memSize = "128"$/m.test(await context.bed.vmx(named(context))), 'memSize = "128" in the .vmx'),
  },
  {
    name: 'guest_disk: added',
    module: 'vmware_guest_disk',
    changed: true,
    quick: true,
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
    quick: true,
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

const snapshots: readonly AnsibleCase[] = [
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

const guest: readonly AnsibleCase[] = [
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

const centerOnly: readonly AnsibleCase[] = (
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

const last: readonly AnsibleCase[] = [
  {
    name: 'guest: removed',
    module: 'vmware_guest',
    changed: true,
    quick: true,
    args: (context) => ({ ...machine(context), state: 'absent', force: true }),
    check: async (context) => expect(!existsSync(context.bed.path(named(context))), 'no folder'),
  },
];

const cases = [...facts, ...life, ...hardware, ...snapshots, ...guest, ...centerOnly, ...last];

export const ansible: TestClient = {
  name: 'Ansible',
  endpoints,
  quickAt: ['center'],
  ...(existsSync('/usr/bin/ansible-playbook') ? {} : { missing: 'ansible is not installed' }),
  async run(options) {
    await playCases(cases, options);
    if (!options.quick) await inventoryCase(options);
  },
};

/** The dynamic inventory: machines of the server are hosts of Ansible. */
async function inventoryCase({ bed, face, tell }: Parameters<TestClient['run']>[0]): Promise<void> {
  const began = performance.now();
  const name = 'vm_inventory';
  const folder = join(face.home, 'ansible');
  const file = join(folder, 'machines.vmware.yml');
  const settings = {
    plugin: 'community.vmware.vmware_vm_inventory',
    ...{ hostname: face.host, port: face.port, username: face.username, password: face.password },
    ...{ validate_certs: false, with_tags: false, hostnames: ['config.name'] },
    properties: ['name', 'config.name', 'config.uuid', 'runtime.powerState', 'guest.toolsRunningStatus'],
  };
  await writeFile(file, JSON.stringify(settings), { mode: 0o600 });
  const environment = ansibleEnvironment(folder, bed);
  const result = await runCommand('/usr/bin/ansible-inventory', ['-i', file, '--list'], { environment });
  try {
    for (const each of [emptyMachine, guestMachine]) expect(result.stdout.includes(`"${each}"`), `${each} is a host`);
    const uuid = await face.property(await face.machine(guestMachine), 'config.uuid');
    expect(result.stdout.includes(`"${uuid}"`), 'the UUID of the guest');
    tell({ case: name, passed: true, seconds: secondsSince(began) });
  } catch (error) {
    tell({ case: name, passed: false, seconds: secondsSince(began), ...failureOf(error, result) });
  }
}
