import { existsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { memoryMiBOf } from '../../../harness/engines.ts';
import { virshFields } from '../../../harness/virsh.ts';
import { guestMachine } from '../bed.ts';
import { expect, machine, off, type VirshCase } from './virsh-context.ts';

export const readingCases: readonly VirshCase[] = [
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
    says: /<source file='\[datastore1\] images-bed-guest\/boot\.vmdk'\/>\s*<target dev='sda' bus='scsi'\/>/,
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
    name: 'capabilities',
    words: () => ['capabilities'],
    says: /<arch name='x86_64'>[\s\S]*<domain type='vmware'\/>/,
  },
  {
    name: 'domblklist',
    words: () => ['domblklist', machine],
    says: /sda +\[datastore1\] bed-empty\/bed-empty\.vmdk\n +sdb +\[datastore1\] bed-empty\/bed-empty_1\.vmdk/,
    check: async ({ bed }) =>
      expect(existsSync(bed.path(machine, `${machine}_1-flat.vmdk`)), 'the second disk on the datastore'),
  },
  {
    name: 'domiflist',
    before: ({ bed }) => bed.guestReady(),
    words: () => ['domiflist', guestMachine],
    async check({ bed }, said) {
      const mac = /bridge +VM Network +vmxnet3 +(\S+)/.exec(said)?.[1] ?? '-';
      const { arguments: words } = await bed.engine(guestMachine);
      expect(
        words.some((word) => word.includes(mac)),
        "the engine's address",
      );
    },
  },
  {
    name: 'domuuid',
    words: () => ['domuuid', machine],
    async check({ face }, said) {
      const uuid = await face.property(await face.machine(machine), 'config.uuid');
      expect(said === uuid, `${uuid}`);
    },
  },
];
