import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, TaskInfo } from '@hypostyle/vim';
import { FakeProcessGroups } from '../../resources/testing/fake-process-groups.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Fill = { readonly web: Machine; readonly computer: Computer };

/** Changes that clients find among the tasks, by key. */
function changesOf(daemon: Daemon): Map<string, TaskInfo> {
  return new Map(daemon.tasks('ReconfigVM_Task').map((info) => [info.key, info]));
}

/**
 * Kills the service at one step after another of a change, until it comes through whole, and has what is there looked
 * at each time. `is`: whether the configuration is the new one.
 */
async function killedEverywhere(options: {
  readonly stride: number;
  readonly isRunning: boolean;
  readonly spec: Record<string, unknown>;
  readonly isNew: (config: NonNullable<ReturnType<Daemon['read']>>, vmx: string) => boolean;
  readonly look: (
    fill: Fill & { readonly daemon: Daemon; readonly isNew: boolean; readonly where: string },
  ) => Promise<Daemon | undefined>;
}): Promise<void> {
  const outcomes = { before: 0, after: 0 };
  let whole = false;
  for (const dies of deaths(options.stride)) {
    if (whole) break;
    const computer = await Computer.make();
    let daemon = await computer.start();
    try {
      const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
      await daemon.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [newDisk(1000)] } });
      if (options.isRunning) await daemon.task(web, 'PowerOnVM_Task');
      const known = changesOf(daemon);
      const work = (alive: Daemon) => alive.task(web, 'ReconfigVM_Task', { spec: options.spec });
      ({ daemon, whole } = await killedAt({ computer, daemon, dies }, work));
      const where = `killed at ${dies}`;
      const vmx = await readFile(join(computer.datastore, 'web', 'web.vmx'), 'utf8');
      const config = daemon.read(web, 'config');
      assert.ok(config);
      const isNew = options.isNew(config, vmx);
      outcomes[isNew ? 'after' : 'before'] += 1;
      const [task] = [...changesOf(daemon).values()].filter(({ key }) => !known.has(key));
      // A task that nobody remembers never began.
      if (task !== undefined && !whole) {
        assert.equal(task.state === 'success', isNew, `${where}: ${task.state}, ${task.error?.localizedMessage}`);
        if (task.state === 'error') assert.match(task.error?.localizedMessage ?? '', /restarted while/, where);
      }
      daemon = (await options.look({ web, computer, daemon, isNew, where })) ?? daemon;
      assert.deepEqual(await readdir(join(computer.datastore, 'web', '.hypo')).then(formers, () => []), [], where);
      assert.deepEqual(computer.defects, [], where);
      // Whatever became of it, the machine takes the next change.
      await daemon.task(web, 'ReconfigVM_Task', { spec: { annotation: 'next' } });
    } finally {
      await daemon.host.close();
      await computer.remove();
    }
  }
  assert.ok(outcomes.before > 0 && outcomes.after > 0, JSON.stringify(outcomes));
}

const formers = (names: readonly string[]) => names.filter((name) => name.startsWith('former'));

test(
  'killed at any step of a change of a machine that is off: the old or the new, and no file for nothing',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    const remove = {
      operation: 'remove',
      fileOperation: 'destroy',
      device: { _typeName: 'VirtualDisk', key: 2001, capacityInKB: 0n },
    };
    const grow = {
      operation: 'edit',
      device: { _typeName: 'VirtualDisk', key: 2000, controllerKey: 1000, unitNumber: 0, capacityInKB: 4096n },
    };
    const third = { ...newDisk(1000), device: { ...(newDisk(1000).device as object), unitNumber: 3 } };
    await killedEverywhere({
      stride: 19,
      isRunning: false,
      spec: { name: 'shop', numCPUs: 2, memoryMB: 256n, deviceChange: [remove, grow, third] },
      isNew: (config, vmx) => {
        const { numCPU } = (config as { hardware: { numCPU: number } }).hardware;
        assert.equal(/^displayName = "shop"$/m.test(vmx), numCPU === 2);
        return numCPU === 2;
      },
      look: async ({ web, computer, daemon, isNew, where }) => {
        assert.equal(daemon.read(web, 'name'), isNew ? 'shop' : 'web', where);
        const folder = join(computer.datastore, 'web');
        const vmx = await readFile(join(folder, 'web.vmx'), 'utf8');
        const named = [...vmx.matchAll(/^scsi0:\d\.fileName = "(.*)\.vmdk"/gm)].map(([, stem]) => `${stem}-flat.vmdk`);
        const files = (await readdir(folder)).filter((name) => name.endsWith('-flat.vmdk'));
        assert.deepEqual(files.sort(), named.sort(), where);
        const { size } = await stat(join(folder, 'web-flat.vmdk'));
        const disks = (daemon.read(web, 'config')?.hardware.device ?? []).filter(
          ({ _typeName }) => _typeName === 'VirtualDisk',
        ) as unknown as { key: number; capacityInBytes: number }[];
        assert.deepEqual(
          disks.map(({ key }) => key),
          isNew ? [2000, 2003] : [2000, 2001],
          where,
        );
        assert.equal(Number(disks[0]?.capacityInBytes), size, where);
        if (isNew) assert.equal(size, 4 << 20, where);
        return undefined;
      },
    });
  },
);

test(
  'killed at any step of a change that can be made again: it is made, if anybody heard of it',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    await killedEverywhere({
      stride: 3,
      isRunning: false,
      spec: {
        name: 'shop',
        annotation: 'told',
        extraConfig: [{ _typeName: 'OptionValue', key: 'guestinfo.x', value: '1' }],
      },
      isNew: (config, vmx) => {
        const { annotation } = config as { annotation?: string };
        assert.equal(/^guestinfo\.x = "1"$/m.test(vmx), annotation === 'told');
        assert.equal(/^displayName = "shop"$/m.test(vmx), annotation === 'told');
        return annotation === 'told';
      },
      look: async ({ web, daemon, isNew, where }) => {
        assert.equal(daemon.read(web, 'name'), isNew ? 'shop' : 'web', where);
        const [task] = daemon.tasks('ReconfigVM_Task').slice(1);
        assert.equal(task?.state, isNew ? 'success' : undefined, where);
        return undefined;
      },
    });
  },
);

test(
  'killed at any step of a disk that is taken away: gone with its file and its task, or there',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    await killedEverywhere({
      stride: 3,
      isRunning: false,
      spec: {
        deviceChange: [
          {
            operation: 'remove',
            fileOperation: 'destroy',
            device: { _typeName: 'VirtualDisk', key: 2001, capacityInKB: 0n },
          },
        ],
      },
      isNew: (_config, vmx) => !/^scsi0:1\.fileName/m.test(vmx),
      look: async ({ computer, isNew, where }) => {
        const files = (await readdir(join(computer.datastore, 'web'))).filter((name) => name.startsWith('web_1'));
        assert.deepEqual(files.sort(), isNew ? [] : ['web_1-flat.vmdk', 'web_1.vmdk'], where);
        return undefined;
      },
    });
  },
);

test(
  'killed at any step of a change of what a running machine is granted: folder, engine and kernel agree',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    await killedEverywhere({
      stride: 11,
      isRunning: true,
      spec: {
        cpuAllocation: { limit: 500n },
        deviceChange: [
          {
            operation: 'edit',
            device: {
              _typeName: 'VirtualDisk',
              key: 2000,
              controllerKey: 1000,
              unitNumber: 0,
              storageIOAllocation: { limit: 90n },
            },
          },
        ],
      },
      isNew: (config, vmx) => {
        const isNew = Number((config as { cpuAllocation: { limit: bigint } }).cpuAllocation.limit) === 500;
        assert.equal(/^sched\.scsi0:0\.throughputCap = "90"$/m.test(vmx), isNew);
        return isNew;
      },
      look: async ({ web, computer, daemon, isNew, where }) => {
        const [engine] = [...computer.engines.engines.values()];
        assert.equal(engine?.hardware.disks[0]?.operationsPerSecond, isNew ? 90 : undefined, where);
        const groups = new FakeProcessGroups();
        computer.processGroups = () => groups;
        await daemon.host.close();
        const again = await computer.start();
        await groups.until(() => groups.paths().includes(`vm-${web.value}`));
        assert.equal(groups.limit(`vm-${web.value}`) !== undefined, isNew, where);
        return again;
      },
    });
  },
);
