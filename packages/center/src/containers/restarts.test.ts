import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import {
  type ClusterConfigInfoEx,
  data,
  type ManagedObjectReference,
  MemoryPersistence,
  type TaskInfo,
} from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Folder = ManagedObjectReference<'Folder'>;

const rootFolder = { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'group-d1' } as const;

interface Attempt {
  readonly self: ManagedObjectReference;
  readonly method: string;
  readonly args?: Record<string, unknown>;
  /** What is so once it is done, and is not before. */
  readonly isDone: (center: TestCenter) => boolean;
}

/** A task whose center is killed at every so many of its steps; each time it is all done at last, or was never there. */
async function killedAtEveryStep(
  { hosts = false, stride = 1 }: { readonly hosts?: boolean; readonly stride?: number },
  prepare: (center: TestCenter, round: number) => Promise<Attempt>,
): Promise<void> {
  const network = new HostNetwork();
  if (hosts) await network.add('local');
  const disk = new MemoryPersistence();
  const open = () => TestCenter.open(network, disk, hosts ? 'local' : undefined);
  let center = await open();
  try {
    // Where it begins, drawn anew each time, so that no step is left out for good.
    for (let steps = 1 + Math.floor(Math.random() * stride); ; steps += stride) {
      const { self, method, args, isDone } = await prepare(center, steps);
      const known = new Set(center.all('Task').map(({ value }) => value));
      center.store.stepsLeft = steps;
      if (await center.store.outlives(center.task(self, method, args))) {
        assert.ok(isDone(center));
        break;
      }
      center.kill();
      center = await open();
      const [task] = center.all('Task').filter(({ value }) => !known.has(value) && isOf(center, value, self));
      if (task === undefined) assert.equal(isDone(center), false, `at step ${steps}: nothing is done without a task`);
      else {
        const { error } = await center.finished(task);
        assert.equal(error?.localizedMessage, undefined, `at step ${steps}`);
        assert.ok(isDone(center), `at step ${steps}: it is done`);
      }
    }
  } finally {
    await center.close();
    await network.remove();
  }
}

function isOf(center: TestCenter, value: string, self: ManagedObjectReference): boolean {
  const info = center.center.registry.get({ type: 'Task', value })?.value('info') as TaskInfo | undefined;
  return info?.entity?.value === self.value;
}

async function newFolder(center: TestCenter, parent: ManagedObjectReference, name: string): Promise<Folder> {
  return (await center.call(parent, 'CreateFolder', { name })) as Folder;
}

test('a folder is renamed and moved though the center is killed', { timeout: 60_000 }, async () => {
  let folder: Folder | undefined;
  await killedAtEveryStep({ stride: 3 }, async (center, round) => {
    folder ??= await newFolder(center, rootFolder, 'team');
    const self = folder;
    const newName = `team ${round}`;
    return { self, method: 'Rename_Task', args: { newName }, isDone: (at) => at.read(self, 'name') === newName };
  });
  let moved: Folder | undefined;
  await killedAtEveryStep({ stride: 3 }, async (center, round) => {
    moved ??= await newFolder(center, rootFolder, 'moved');
    const list = [moved];
    const self = await newFolder(center, rootFolder, `place ${round}`);
    return {
      self,
      method: 'MoveIntoFolder_Task',
      args: { list },
      isDone: (at) => at.read(list[0] as Folder, 'parent')?.value === self.value,
    };
  });
});

test('a cluster gets a rule once though the center is killed', { timeout: 60_000 }, async () => {
  let cluster: ManagedObjectReference<'ClusterComputeResource'> | undefined;
  await killedAtEveryStep({ stride: 2 }, async (center, round) => {
    cluster ??= (await center.call(center.hostFolder(), 'CreateClusterEx', {
      name: 'c1',
      spec: data('ClusterConfigSpecEx', {}),
    })) as ManagedObjectReference<'ClusterComputeResource'>;
    const self = cluster;
    const info = data('ClusterHostGroup', { name: `group ${round}` });
    const spec = data('ClusterConfigSpecEx', { groupSpec: [data('ClusterGroupSpec', { operation: 'add', info })] });
    const groups = (at: TestCenter) => (at.read(self, 'configurationEx') as ClusterConfigInfoEx).group ?? [];
    return {
      self,
      method: 'ReconfigureComputeResource_Task',
      args: { spec, modify: true },
      isDone: (at) => groups(at).filter(({ name }) => name === info.name).length === 1,
    };
  });
});

test('a folder goes with its machine though the center is killed', { timeout: 100_000 }, async () => {
  await killedAtEveryStep({ hosts: true, stride: 3 }, async (center, round) => {
    const [datacenter] = center.all('Datacenter');
    const [pool] = center.all('ResourcePool');
    assert.ok(datacenter && pool);
    const self = await newFolder(center, center.read(datacenter, 'vmFolder') as Folder, `team ${round}`);
    const { config } = smallMachine(`one ${round}`) as { config: object };
    const machine = (await center.task(self, 'CreateVM_Task', { config, pool })) as Machine;
    const isThere = (at: TestCenter, ref: ManagedObjectReference) => at.center.registry.get(ref) !== undefined;
    return { self, method: 'Destroy_Task', isDone: (at) => !isThere(at, self) && !isThere(at, machine) };
  });
});

test('a vApp is started though the center is killed', { timeout: 100_000 }, async () => {
  let vApp: ManagedObjectReference<'VirtualApp'> | undefined;
  const machines: Machine[] = [];
  await killedAtEveryStep({ hosts: true, stride: 5 }, async (center) => {
    const [pool] = center.all('ResourcePool');
    assert.ok(pool);
    if (vApp === undefined) {
      const allocation = data('ResourceAllocationInfo', {});
      const resSpec = data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation });
      const configSpec = data('VAppConfigSpec', {});
      vApp = (await center.call(pool, 'CreateVApp', { name: 'shop', resSpec, configSpec })) as typeof vApp;
      for (const name of ['db', 'web']) {
        const { config } = smallMachine(name) as { config: object };
        machines.push((await center.task(vApp as never, 'CreateChildVM_Task', { config })) as Machine);
      }
      const entityConfig = machines.map((key, index) =>
        data('VAppEntityConfigInfo', { key, startOrder: index, startDelay: 0 }),
      );
      await center.call(vApp as never, 'UpdateVAppConfig', { spec: data('VAppConfigSpec', { entityConfig }) });
    }
    const isOn = (at: TestCenter) => machines.every((ref) => at.read(ref, 'runtime')?.powerState === 'poweredOn');
    if (isOn(center)) await center.task(vApp as never, 'PowerOffVApp_Task', { force: true });
    return { self: vApp as never, method: 'PowerOnVApp_Task', isDone: isOn };
  });
});
