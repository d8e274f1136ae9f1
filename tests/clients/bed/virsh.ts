import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { GuestConsole } from '@hypostyle/contracts/testing';
import { memoryMiBOf } from '../../harness/engines.ts';
import { eventually, placeGuestDisk } from '../../harness/guest-machine.ts';
import { virshFields } from '../../harness/virsh.ts';
import { type Bed, emptyMachine, guestMachine } from './bed.ts';
import { endpoints, type TestClient } from './case.ts';
import { type CommandCase, runCommand, runCommandCases } from './command.ts';
import type { Face } from './face.ts';

// virsh of Debian's libvirt-clients, through libvirt's ESX driver: esx:// at a host, vpx:// at a center.
interface Context {
  readonly bed: Bed;
  readonly face: Face;
}

const machine = emptyMachine;
/** The shell of the guest that is to boot again. */
let rebooted: GuestConsole | undefined;
const off = ({ bed }: Context) => bed.power(machine, 'poweredOff');
const on = ({ bed }: Context) => bed.power(machine, 'poweredOn');
const expect = (condition: unknown, what: string) => {
  if (!condition) throw new Error(what);
};
const snapshotsOf = async ({ face }: Context) => {
  const found = await face.property<{ rootSnapshotList?: { name: string }[] } | undefined>(
    await face.machine(machine),
    'snapshot',
  );
  return found?.rootSnapshotList?.map(({ name }) => name) ?? [];
};
const domainXml = (
  name: string,
) => `<domain type='vmware'><name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='[datastore1] ${name}/boot.vmdk'/><target dev='sda' bus='scsi'/></disk>
    <controller type='scsi' index='0' model='lsilogic'/>
    <interface type='bridge'><source bridge='VM Network'/><model type='e1000'/></interface>
  </devices></domain>`;
const defined = ({ face }: Context) => `bed-defined-${face.endpoint}`;

const cases: readonly CommandCase<Context>[] = [
  {
    name: 'nodeinfo',
    quick: true,
    words: () => ['nodeinfo'],
    async check(_, said) {
      const facts = virshFields(said);
      expect(Number(facts['CPU(s)']) === availableParallelism(), 'the processors of this computer');
      expect(Math.abs(Number.parseInt(facts['Memory size'] ?? '', 10) * 1024 - totalmem()) < 2 ** 20, 'its memory');
    },
  },
  { name: 'hostname', words: () => ['hostname'], says: ({ face }) => new RegExp(`^${face.hostName}$`) },
  { name: 'version', words: () => ['version'], says: /Running hypervisor: ESX 8\.0\.3/ },
  { name: 'uri', words: () => ['uri'], says: ({ face }) => (face.endpoint === 'host' ? /^esx:/ : /^vpx:/) },
  {
    name: 'list --all',
    quick: true,
    before: off,
    words: () => ['list', '--all'],
    says: /^ -\s+bed-empty\s+shut off$/m,
    async check({ bed }, said) {
      expect(/bed-guest\s+running/.test(said) === ((await bed.engineOf(guestMachine)) !== undefined), 'what runs');
    },
  },
  {
    name: 'dominfo',
    quick: true,
    before: ({ bed }) => bed.guestReady(),
    words: () => ['dominfo', guestMachine],
    async check({ bed }, said) {
      const facts = virshFields(said);
      const engine = await bed.engine(guestMachine);
      expect(engine.arguments.includes(facts.UUID ?? '-'), "the engine's UUID");
      expect(facts['Max memory'] === `${memoryMiBOf(engine) * 1024} KiB`, `${memoryMiBOf(engine)} MiB`);
    },
  },
  {
    name: 'dominfo by UUID',
    words: async ({ face }) => ['dominfo', await face.property(await face.machine(machine), 'config.uuid')],
    says: /Name: +bed-empty/,
  },
  {
    name: 'dumpxml',
    before: ({ bed }) => bed.guestReady(),
    words: () => ['dumpxml', guestMachine],
    says: /<source file='\[datastore1\] images-bed-guest\/boot\.vmdk'\/>\s*<target dev='hda' bus='ide'\/>/,
    async check({ bed, face }, said) {
      expect(said.includes("<model type='vmxnet3'/>"), 'the card');
      const mac = /<mac address='([^']+)'/.exec(said)?.[1];
      expect(
        (await bed.engine(guestMachine)).arguments.some((one) => one.includes(mac ?? '-')),
        "the engine's address",
      );
      const moref = /<vmware:moref>(.*)<\/vmware:moref>/.exec(said)?.[1];
      expect(moref === (await face.machine(guestMachine)).value, 'the reference');
    },
  },
  {
    name: 'start',
    quick: true,
    before: off,
    words: () => ['start', machine],
    says: /started/,
    check: async ({ bed }) => expect(await bed.engineOf(machine), 'an engine'),
  },
  { name: 'start what runs', before: on, words: () => ['start', machine], fails: true, says: /already active/ },
  {
    name: 'domid',
    before: on,
    words: () => ['domid', machine],
    says: /^\d+$/,
  },
  {
    name: 'suspend',
    quick: true,
    before: on,
    words: () => ['suspend', machine],
    check: async ({ bed }) => expect((await bed.engineOf(machine)) === undefined, 'no engine: suspended to disk'),
  },
  {
    name: 'domstate of what is suspended',
    before: ({ bed }) => bed.power(machine, 'suspended'),
    words: () => ['domstate', machine],
    says: /paused/,
  },
  {
    name: 'resume',
    quick: true,
    before: ({ bed }) => bed.power(machine, 'suspended'),
    words: () => ['resume', machine],
    check: async ({ bed }) => expect(await bed.engineOf(machine), 'an engine'),
  },
  {
    name: 'destroy',
    quick: true,
    before: on,
    words: () => ['destroy', machine],
    check: async ({ bed }) => expect((await bed.engineOf(machine)) === undefined, 'no engine'),
  },
  { name: 'destroy what is off', before: off, words: () => ['destroy', machine], fails: true },
  {
    name: 'setvcpus',
    quick: true,
    before: off,
    words: () => ['setvcpus', machine, '2'],
    async check({ bed }) {
      expect(/^numvcpus = "2"$/m.test(await bed.vmx(machine)), 'numvcpus = "2" in the .vmx');
      await bed.power(machine, 'poweredOn');
      const processors = await bed.monitor<unknown[]>(machine, 'query-cpus-fast');
      expect(processors.length === 2, `2 processors in the engine, not ${processors.length}`);
    },
  },
  {
    name: 'vcpucount',
    words: () => ['vcpucount', machine, '--maximum', '--config'],
    says: /^\d+$/,
  },
  {
    name: 'schedinfo --set shares',
    before: off,
    words: () => ['schedinfo', machine, '--set', 'shares=1500', 'reservation=100'],
    async check({ face }) {
      const set = await face.property<{ shares?: { shares: number }; reservation?: unknown }>(
        await face.machine(machine),
        'config.cpuAllocation',
      );
      expect(set.shares?.shares === 1500 && Number(set.reservation) === 100, `${JSON.stringify(set)}`);
    },
  },
  {
    name: 'snapshot-create-as',
    quick: true,
    before: off,
    words: () => ['snapshot-create-as', machine, 'first', 'before the change'],
    async check(context) {
      expect((await snapshotsOf(context)).includes('first'), 'the snapshot');
      expect(existsSync(context.bed.path(machine, `${machine}-000001.vmdk`)), 'a delta on the datastore');
    },
  },
  { name: 'snapshot-list', words: () => ['snapshot-list', machine], says: /^ first +.* shutoff$/m },
  {
    name: 'snapshot-dumpxml',
    words: () => ['snapshot-dumpxml', machine, 'first'],
    says: /<description>before the change<\/description>/,
  },
  { name: 'snapshot-current', words: () => ['snapshot-current', machine, '--name'], says: /^first$/ },
  {
    name: 'snapshot-revert',
    before: async (context) => {
      await off(context);
      const { face } = context;
      const spec = { _typeName: 'VirtualMachineConfigSpec' as const, annotation: 'changed' };
      await face.client.waitForTask(await face.client.call(await face.machine(machine), 'ReconfigVM_Task', { spec }));
    },
    words: () => ['snapshot-revert', machine, 'first'],
    check: async ({ bed }) => expect(!/^annotation = "changed"/m.test(await bed.vmx(machine)), 'the old annotation'),
  },
  {
    name: 'snapshot-delete',
    quick: true,
    words: () => ['snapshot-delete', machine, 'first'],
    async check(context) {
      expect((await snapshotsOf(context)).length === 0, 'no snapshot');
      expect(!existsSync(context.bed.path(machine, `${machine}-000001.vmdk`)), 'no delta on the datastore');
    },
  },
  {
    name: 'screenshot',
    before: on,
    words: ({ face }) => ['screenshot', machine, join(face.home, 'screen.png')],
    async check({ face }) {
      const picture = await readFile(join(face.home, 'screen.png'));
      expect(picture.subarray(1, 4).toString() === 'PNG' && picture.length > 100, 'a picture');
    },
  },
  { name: 'pool-list', words: () => ['pool-list', '--all'], says: /^ datastore1\s+active/m },
  {
    name: 'pool-info',
    quick: true,
    words: () => ['pool-info', 'datastore1'],
    says: /State: +running/,
  },
  { name: 'vol-list', words: () => ['vol-list', 'datastore1'], says: /bed-empty\/bed-empty\.vmdk/ },
  {
    name: 'vol-dumpxml',
    words: () => ['vol-dumpxml', '--pool', 'datastore1', `${machine}/${machine}.vmdk`],
    async check({ bed }, said) {
      const { size } = await stat(bed.path(machine, `${machine}-flat.vmdk`));
      expect(said.includes(`<capacity unit='bytes'>${size}</capacity>`), `a capacity of ${size}`);
    },
  },
  {
    name: 'vol-key',
    words: () => ['vol-key', '--pool', 'datastore1', `${machine}/${machine}.vmdk`],
    says: /\S/,
  },
  {
    name: 'vol-create-as',
    words: ({ face }) => ['vol-create-as', 'datastore1', `virsh-${face.endpoint}/disk.vmdk`, '4M', '--format', 'vmdk'],
    async check({ bed, face }) {
      const { size } = await stat(bed.path(`virsh-${face.endpoint}`, 'disk-flat.vmdk'));
      expect(size === 4 << 20, `4 MiB, not ${size} bytes`);
    },
  },
  {
    name: 'vol-clone',
    words: ({ face }) => {
      const folder = `virsh-${face.endpoint}`;
      return ['vol-clone', '--pool', 'datastore1', `${folder}/disk.vmdk`, `${folder}/copy.vmdk`];
    },
    async check({ bed, face }) {
      const { size } = await stat(bed.path(`virsh-${face.endpoint}`, 'copy-flat.vmdk'));
      expect(size === 4 << 20, `4 MiB, not ${size} bytes`);
    },
  },
  {
    name: 'vol-delete',
    words: ({ face }) => ['vol-delete', '--pool', 'datastore1', `virsh-${face.endpoint}/copy.vmdk`],
    check: async ({ bed, face }) =>
      expect(!existsSync(bed.path(`virsh-${face.endpoint}`, 'copy-flat.vmdk')), 'no file'),
  },
  {
    name: 'define',
    quick: true,
    before: ({ bed, face }) => placeGuestDisk(bed.daemon, defined({ bed, face }), false),
    async words(context) {
      const file = join(context.face.home, 'defined.xml');
      await writeFile(file, domainXml(defined(context)));
      return ['define', file];
    },
    async check(context) {
      expect(/^displayName = "bed-defined-/m.test(await context.bed.vmx(defined(context))), 'a .vmx');
    },
  },
  {
    name: 'start what was defined',
    words: (context) => ['start', defined(context)],
    async check(context) {
      const { bed } = context;
      await bed.isSeen(defined(context), 'poweredOn', 'host');
      expect(memoryMiBOf(await bed.engine(defined(context))) === 64, 'an engine of 64 MiB');
    },
  },
  {
    name: 'undefine',
    quick: true,
    before: (context) => context.bed.power(defined(context), 'poweredOff'),
    words: (context) => ['undefine', defined(context)],
    async check(context) {
      expect(existsSync(context.bed.path(defined(context), 'boot-flat.vmdk')), 'the disk is kept');
      const gone = () =>
        context.bed.faces.host.machine(defined(context)).then(
          () => false,
          () => true,
        );
      await eventually(gone, 'the machine to be gone');
    },
  },
  {
    name: 'domxml-from-native',
    async words({ bed, face }) {
      const file = join(face.home, 'native.vmx');
      await writeFile(file, await bed.vmx(machine));
      return ['domxml-from-native', 'vmware-vmx', file];
    },
    says: /<name>bed-empty<\/name>/,
  },
  {
    name: 'shutdown of a guest',
    before: ({ bed }) => bed.guestReady(),
    words: () => ['shutdown', guestMachine],
    async check({ bed, face }) {
      await bed.isSeen(guestMachine, 'poweredOff', face.endpoint);
      expect((await bed.engineOf(guestMachine)) === undefined, 'no engine');
    },
  },
  {
    name: 'reboot of a guest',
    before: ({ bed }) => bed.guestReady(),
    async words({ bed }) {
      rebooted?.close();
      rebooted = await bed.console();
      return ['reboot', guestMachine];
    },
    async check() {
      await rebooted?.ready();
      rebooted?.close();
    },
  },
];

export const virsh: TestClient = {
  name: 'virsh',
  endpoints,
  async run(options) {
    const { bed, face } = options;
    const scheme = face.endpoint === 'host' ? 'esx' : 'vpx';
    const credentials = join(face.home, 'virsh-credentials');
    const lines = ['[credentials-host]', `username=${face.username}`, `password=${face.password}`];
    // A host of a center that libvirt turns to by itself is asked for by its own address.
    const sections = ['esx', 'vpx'].flatMap((each) => [`[auth-${each}-${face.host}]`, 'credentials=host']);
    await writeFile(credentials, `${[...lines, ...sections].join('\n')}\n`, { mode: 0o600 });
    const path = face.endpoint === 'host' ? '' : `${face.datacenter}/${face.hostName}`;
    const uri = `${scheme}://${encodeURIComponent(face.username)}@${face.host}:${face.port}/${path}?no_verify=1`;
    const environment = { LIBVIRT_AUTH_FILE: credentials, LC_ALL: 'C' };
    const execute = (words: readonly string[]) => runCommand('virsh', ['-c', uri, ...words], { environment });
    await runCommandCases(cases, { bed, face }, execute, options);
  },
};
