import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Daemon, smallMachine, vmFolder } from '@hypostyle/host/testing';
import { type ManagedObjectReference, MemoryPersistence, type TaskInfo } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

interface Scene {
  readonly center: TestCenter;
  readonly daemon: Daemon;
  readonly pool: ManagedObjectReference<'ResourcePool'>;
  readonly folder: ManagedObjectReference<'Folder'>;
}

/** What a client asks for, and whether the host shows that it was done. */
interface Operation {
  readonly method: string;
  /** Done on the host before, where the operation needs something. */
  readonly prepare?: (daemon: Daemon, name: string) => Promise<unknown>;
  readonly run: (scene: Scene, name: string) => Promise<unknown>;
  readonly isDone: (daemon: Daemon, name: string) => boolean;
}

const created = async (daemon: Daemon, name: string) =>
  (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name))) as Machine;
const snapshot = { name: 'base', memory: false, quiesce: false };
const machineOf = ({ center }: Scene, name: string) => center.named('VirtualMachine', name);
const isThere = (daemon: Daemon, name: string) => daemon.machine(name) !== undefined;

const snapshotsOf = (daemon: Daemon, name: string) =>
  (daemon.read(daemon.machine(name) as Machine, 'snapshot')?.rootSnapshotList ?? []).map((tree) => tree.name);
const taken = async (daemon: Daemon, name: string) => {
  await daemon.task(await created(daemon, name), 'CreateSnapshot_Task', snapshot);
};

const operations: Readonly<Record<string, Operation>> = {
  create: {
    method: 'CreateVM_Task',
    run: ({ center, folder, pool }, name) =>
      center.task(folder, 'CreateVM_Task', { config: (smallMachine(name) as { config: object }).config, pool }),
    isDone: isThere,
  },
  register: {
    method: 'RegisterVM_Task',
    prepare: async (daemon, name) => daemon.call(await created(daemon, name), 'UnregisterVM'),
    run: ({ center, folder, pool }, name) =>
      center.task(folder, 'RegisterVM_Task', { path: `[datastore1] ${name}/${name}.vmx`, asTemplate: false, pool }),
    isDone: isThere,
  },
  clone: {
    method: 'CloneVM_Task',
    prepare: (daemon, name) => created(daemon, `${name}-original`),
    run: ({ center, folder, pool }, name) => {
      const location = { _typeName: 'VirtualMachineRelocateSpec', pool };
      const spec = { _typeName: 'VirtualMachineCloneSpec', location, template: false, powerOn: false };
      return center.task(center.named('VirtualMachine', `${name}-original`), 'CloneVM_Task', { folder, name, spec });
    },
    isDone: isThere,
  },
  'instant clone': {
    method: 'InstantClone_Task',
    prepare: async (daemon, name) => daemon.task(await created(daemon, `${name}-original`), 'PowerOnVM_Task'),
    run: ({ center }, name) => {
      const location = { _typeName: 'VirtualMachineRelocateSpec' };
      const spec = { _typeName: 'VirtualMachineInstantCloneSpec', name, location };
      return center.task(center.named('VirtualMachine', `${name}-original`), 'InstantClone_Task', { spec });
    },
    isDone: isThere,
  },
  rename: {
    method: 'Rename_Task',
    prepare: created,
    run: (scene, name) => scene.center.task(machineOf(scene, name), 'Rename_Task', { newName: `${name}-anew` }),
    isDone: (daemon, name) => isThere(daemon, `${name}-anew`),
  },
  destroy: {
    method: 'Destroy_Task',
    prepare: created,
    run: (scene, name) => scene.center.task(machineOf(scene, name), 'Destroy_Task'),
    isDone: (daemon, name) => !isThere(daemon, name),
  },
  power: {
    method: 'PowerOnVM_Task',
    prepare: created,
    run: (scene, name) => scene.center.task(machineOf(scene, name), 'PowerOnVM_Task'),
    isDone: (daemon, name) => daemon.read(daemon.machine(name) as Machine, 'runtime')?.powerState === 'poweredOn',
  },
  reconfigure: {
    method: 'ReconfigVM_Task',
    prepare: created,
    run: (scene, name) =>
      scene.center.task(machineOf(scene, name), 'ReconfigVM_Task', {
        spec: { _typeName: 'VirtualMachineConfigSpec', annotation: 'changed' },
      }),
    isDone: (daemon, name) => daemon.read(daemon.machine(name) as Machine, 'config')?.annotation === 'changed',
  },
  snapshot: {
    method: 'CreateSnapshot_Task',
    prepare: created,
    run: (scene, name) => scene.center.task(machineOf(scene, name), 'CreateSnapshot_Task', snapshot),
    isDone: (daemon, name) => snapshotsOf(daemon, name).includes('base'),
  },
  'removal of snapshots': {
    method: 'RemoveAllSnapshots_Task',
    prepare: taken,
    run: (scene, name) => scene.center.task(machineOf(scene, name), 'RemoveAllSnapshots_Task'),
    isDone: (daemon, name) => snapshotsOf(daemon, name).length === 0,
  },
  revert: {
    method: 'RevertToCurrentSnapshot_Task',
    prepare: async (daemon, name) => {
      await taken(daemon, name);
      const spec = { _typeName: 'VirtualMachineConfigSpec', annotation: 'changed' };
      await daemon.task(daemon.machine(name) as Machine, 'ReconfigVM_Task', { spec });
    },
    run: (scene, name) => scene.center.task(machineOf(scene, name), 'RevertToCurrentSnapshot_Task'),
    isDone: (daemon, name) => daemon.read(daemon.machine(name) as Machine, 'config')?.annotation !== 'changed',
  },
};

const isOver = ({ state }: TaskInfo) => state === 'success' || state === 'error';
const tasksOf = (center: TestCenter, method: string) =>
  center
    .all('Task')
    .map((ref) => center.read(ref, 'info') as TaskInfo)
    .filter(({ name }) => name === method);

async function sceneOf(center: TestCenter, daemon: Daemon): Promise<Scene> {
  const [datacenter] = center.all('Datacenter');
  const [pool] = center.all('ResourcePool');
  assert.ok(datacenter && pool);
  const folder = center.read(datacenter, 'vmFolder') as ManagedObjectReference<'Folder'>;
  return { center, daemon, pool, folder };
}

/** Takes away what an operation left on the host, so that the next one costs no more; copies go before their originals. */
async function clear(daemon: Daemon): Promise<void> {
  for (const machine of daemon.machines().reverse()) {
    if (daemon.read(machine, 'runtime')?.powerState === 'poweredOn') await daemon.task(machine, 'PowerOffVM_Task');
    await daemon.task(machine, 'Destroy_Task');
  }
}

/** Runs an operation on a center that dies at each of its writes in turn, until it lives through it. */
async function killedAtEveryWrite(t: TestContext, { method, prepare, run, isDone }: Operation): Promise<void> {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const disk = new MemoryPersistence();
  let center = await TestCenter.open(network, disk, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  for (let steps = 0; ; steps += 1) {
    const name = `m${steps}`;
    await prepare?.(daemon, name);
    const names = () =>
      daemon
        .machines()
        .map((ref) => daemon.read(ref, 'name'))
        .sort();
    const shown = () =>
      center
        .all('VirtualMachine')
        .map((ref) => center.read(ref, 'name'))
        .sort();
    await center.until(() => `${shown()}` === `${names()}`);
    const before = new Set(tasksOf(center, method).map(({ key }) => key));
    const scene = await sceneOf(center, daemon);
    center.store.stepsLeft = steps;
    const lived = await center.store.outlives(run(scene, name));
    const where = `${method}, killed at write ${steps}`;
    if (lived) {
      assert.ok(isDone(daemon, name), where);
      assert.ok(steps > 2, 'it was killed at some writes');
      t.diagnostic(`${steps} kills`);
      return;
    }
    center.kill();
    await daemon.idle();
    center = await TestCenter.open(network, disk, 'local');
    await center.until(() => tasksOf(center, method).every(isOver));
    const tasks = tasksOf(center, method).filter(({ key }) => !before.has(key));
    assert.ok(tasks.length <= 1, where);
    const [task] = tasks;
    const done = isDone(daemon, name);
    assert.equal(done, task?.state === 'success', `${where}: ${task?.state} ${task?.error?.localizedMessage}`);
    assert.deepEqual(shown(), names(), where);
    const documents = [...center.center.core.inventory.all('VirtualMachine')];
    assert.equal(documents.length, names().length, `${where}: nothing is only expected any more`);
    assert.deepEqual(center.defects, [], where);
    await clear(daemon);
  }
}

for (const [name, operation] of Object.entries(operations)) {
  test(`${name}: a center that is killed at any write says truly what became of it`, { timeout: 300_000 }, (t) =>
    killedAtEveryWrite(t, operation),
  );
}
