import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const reconfigure = (daemon: Daemon, web: Machine, change: object) =>
  daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [change] } });
const create = (daemon: Daemon) =>
  daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web', '[datastore1]', '[other]')) as Promise<Machine>;
const plain = (daemon: Daemon) => daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web')) as Promise<Machine>;
const second = newDisk(1000, '[other]');
const gone = {
  _typeName: 'VirtualDeviceConfigSpec',
  operation: 'remove',
  fileOperation: 'destroy',
  device: { _typeName: 'VirtualDisk', key: 2000, capacityInKB: 0n },
};

interface Change {
  readonly before: (daemon: Daemon) => Promise<Machine | undefined>;
  readonly killed: (daemon: Daemon, web: Machine | undefined) => Promise<unknown>;
  readonly method: string;
}

const changes: Readonly<Record<string, Change>> = {
  'a machine that is made': { before: async () => undefined, killed: create, method: 'CreateVM_Task' },
  'a machine that is destroyed': {
    before: create,
    killed: (daemon, web) => daemon.task(web as Machine, 'Destroy_Task'),
    method: 'Destroy_Task',
  },
  'a disk that is added': {
    before: plain,
    killed: (daemon, web) => reconfigure(daemon, web as Machine, second),
    method: 'ReconfigVM_Task',
  },
  'a disk that is taken away': {
    before: create,
    killed: (daemon, web) => reconfigure(daemon, web as Machine, gone),
    method: 'ReconfigVM_Task',
  },
};

/** Everything on the other datastore, by names that are not hidden. */
const everything = async (path: string) =>
  (await readdir(path, { recursive: true })).filter((name) => !/(^|\/)\./.test(name)).sort();

/** What the machine's `.vmx` names there, with its folder. */
async function namedThere(computer: Computer): Promise<string[]> {
  const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8').catch(() => '');
  const disks = [...vmx.matchAll(/^scsi0:\d\.fileName = "\/vmfs\/volumes\/[^/]*\/(.*)\.vmdk"/gm)].map(
    ([, stem = '']) => stem,
  );
  const names = disks.flatMap((stem) => [stem.split('/')[0] ?? '', `${stem}.vmdk`, `${stem}-flat.vmdk`]);
  return [...new Set(names)].sort();
}

for (const [name, { before, killed, method }] of Object.entries(changes)) {
  test(
    `killed at any step of ${name}, with a disk on another datastore: nothing there is for nothing`,
    killLimit,
    async (t) => {
      t.after(gateFiles());
      const computer = await Computer.make();
      t.after(() => computer.remove());
      let daemon = await computer.start();
      const path = join(computer.directory, 'other');
      await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
      for (const dies of deaths(11)) {
        const web = await before(daemon);
        const then = await everything(path);
        const known = new Set(daemon.tasks(method).map(({ key }) => key));
        const end = await killedAt({ computer, daemon, dies }, (alive) => killed(alive, web));
        daemon = end.daemon;
        const where = `killed at ${dies}`;
        const now = await everything(path);
        assert.deepEqual(now, await namedThere(computer), where);
        const [task] = daemon.tasks(method).filter(({ key }) => !known.has(key));
        if (task?.state === 'success') assert.notDeepEqual(now, then, where);
        else assert.deepEqual(now, then, `${where}: ${task?.error?.localizedMessage}`);
        for (const machine of daemon.machines()) await daemon.task(machine, 'Destroy_Task');
        assert.deepEqual(await everything(path), [], where);
        assert.deepEqual(computer.defects, [], where);
        if (end.whole) break;
      }
    },
  );
}
