import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryMiBOf } from '../../../harness/engines.ts';
import { placeGuestDisk } from '../../../harness/guest-machine.ts';
import { expect, machine, type VirshCase, type VirshContext } from './virsh-context.ts';

const domainXml = (
  name: string,
) => `<domain type='vmware'><name>${name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='[datastore1] ${name}/boot.vmdk'/><target dev='sda' bus='scsi'/></disk>
    <controller type='scsi' index='0' model='lsilogic'/>
    <interface type='bridge'><source bridge='VM Network'/><model type='e1000'/></interface>
  </devices></domain>`;
const defined = ({ face }: Pick<VirshContext, 'face'>) => `bed-defined-${face.endpoint}`;

export const definitionCases: readonly VirshCase[] = [
  {
    name: 'define',
    quick: true,
    before: (context) => placeGuestDisk(context.bed.daemon, defined(context), false),
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
      await context.bed.isGone(defined(context));
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
    name: 'dumpxml, defined again',
    before: async (context) => {
      const { bed, face } = context;
      const [name, file] = [defined(context), join(face.home, 'defined.xml')];
      await writeFile(file, domainXml(name));
      for (const words of [
        ['define', file],
        ['dumpxml', name],
        ['undefine', name],
      ]) {
        const { code, stdout, stderr } = await context.run(words);
        expect(code === 0, `${words.join(' ')}: ${stderr}`);
        if (words[0] === 'dumpxml') await writeFile(join(face.home, 'dumped.xml'), stdout);
      }
      await bed.isGone(name);
    },
    words: ({ face }) => ['define', join(face.home, 'dumped.xml')],
    async check(context) {
      const { bed } = context;
      const name = defined(context);
      const dumped = await readFile(join(context.face.home, 'dumped.xml'), 'utf8');
      const [uuid = '-', mac = '-'] = [/<uuid>(.*)</, /<mac address='([^']+)'/].map((one) => one.exec(dumped)?.[1]);
      await bed.power(name, 'poweredOn');
      const { arguments: words } = await bed.engine(name);
      expect(words.includes(uuid) && words.some((word) => word.includes(mac)), `an engine of ${uuid} with ${mac}`);
      await bed.power(name, 'poweredOff');
      await context.run(['undefine', name]);
    },
  },
];
