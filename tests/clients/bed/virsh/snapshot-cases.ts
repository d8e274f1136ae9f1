import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { guestMachine } from '../bed.ts';
import { expect, machine, off, type VirshCase, type VirshContext } from './virsh-context.ts';

const snapshotsOf = async ({ face }: VirshContext) => {
  const found = await face.property<{ rootSnapshotList?: { name: string }[] } | undefined>(
    await face.machine(machine),
    'snapshot',
  );
  return found?.rootSnapshotList?.map(({ name }) => name) ?? [];
};

interface SnapshotTree {
  readonly name: string;
  readonly state: string;
  readonly quiesced: boolean;
  readonly childSnapshotList?: readonly SnapshotTree[];
}

export const snapshotCases: readonly VirshCase[] = [
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
    name: 'snapshot-create-as of what runs',
    before: async ({ bed }) => {
      await bed.guestReady();
      await bed.inGuest('echo before >/root/by-virsh; sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/by-virsh.pid');
    },
    words: () => ['snapshot-create-as', guestMachine, 'alive', 'with its memory'],
    async check({ bed }) {
      expect(
        (await readdir(bed.path(guestMachine))).some((name) => name.endsWith('.vmem')),
        'its memory in a file',
      );
      await bed.inGuest('kill $(cat /tmp/by-virsh.pid); echo after >/root/by-virsh');
    },
  },
  { name: 'snapshot-info', words: () => ['snapshot-info', guestMachine, 'alive'], says: /State: +running/ },
  {
    name: 'snapshot-revert to what ran',
    words: () => ['snapshot-revert', guestMachine, 'alive'],
    async check({ bed }) {
      const said = await bed.inGuest('cat /root/by-virsh /proc/$(cat /tmp/by-virsh.pid)/comm');
      expect(said.split(/\s+/).join(' ') === 'before sleep', `its file and its process of then, not ${said}`);
    },
  },
  {
    name: 'snapshot-create-as --disk-only --quiesce',
    before: ({ bed }) => bed.guestReady(),
    words: () => ['snapshot-create-as', guestMachine, 'still', '--disk-only', '--quiesce'],
    async check({ face }) {
      const found = await face.property<{ rootSnapshotList: readonly SnapshotTree[] }>(
        await face.machine(guestMachine),
        'snapshot',
      );
      const still = found.rootSnapshotList[0]?.childSnapshotList?.[0];
      expect(still?.name === 'still' && still.quiesced && still.state === 'poweredOff', JSON.stringify(found));
    },
  },
  { name: 'snapshot-parent', words: () => ['snapshot-parent', guestMachine, 'still'], says: /^alive$/ },
  {
    name: 'snapshot-delete --children',
    words: () => ['snapshot-delete', guestMachine, 'alive', '--children'],
    async check({ bed }) {
      await bed.inGuest('kill $(cat /tmp/by-virsh.pid)');
      const left = (await readdir(bed.path(guestMachine))).filter((name) => /\.vm(em|sn)$|-00000/.test(name));
      expect(left.length === 0, `nothing of them: ${left}`);
    },
  },
];
