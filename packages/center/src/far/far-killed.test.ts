import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import type { ManagedObjectReference, TaskInfo } from '@hypostyle/vim';
import { TestCenter } from '../testing/center-fixture.ts';
import { type TwoHosts, twoHosts } from '../testing/two-hosts.ts';

/** What a center does between two hosts. */
interface Operation {
  readonly method: string;
  begin(world: TwoHosts, center: TestCenter, name: string): Promise<unknown>;
  /** Names of machines on the one host and the other: as it was before, and as it is when it is done. */
  readonly before: readonly [string[], string[]];
  readonly after: readonly [string[], string[]];
}

const clone: Operation = {
  method: 'CloneVM_Task',
  begin: ({ farPool, farDatastore, vmFolder }, center, name) => {
    const location = { _typeName: 'VirtualMachineRelocateSpec', pool: farPool, datastore: farDatastore };
    const config = { _typeName: 'VirtualMachineConfigSpec', annotation: 'copied' };
    const spec = { _typeName: 'VirtualMachineCloneSpec', location, template: false, powerOn: false, config };
    const source = center.named('VirtualMachine', name);
    return center.task(source, 'CloneVM_Task', { folder: vmFolder, name: `${name}-copy`, spec });
  },
  before: [[''], []],
  after: [[''], ['-copy']],
};

const relocate: Operation = {
  method: 'RelocateVM_Task',
  begin: ({ farPool, farDatastore }, center, name) => {
    const spec = { _typeName: 'VirtualMachineRelocateSpec', pool: farPool, datastore: farDatastore };
    return center.task(center.named('VirtualMachine', name), 'RelocateVM_Task', { spec });
  },
  before: [[''], []],
  after: [[], ['']],
};

const isOver = ({ state }: TaskInfo) => state === 'success' || state === 'error';
const tasksOf = (center: TestCenter, method: string) =>
  center
    .all('Task')
    .map((ref) => center.read(ref, 'info') as TaskInfo)
    .filter(({ name }) => name === method);

/** Every write where all is tried; some of them else. */
const whole = process.env.HYPOSTYLE_WHOLE === '1' || process.env.HYPOSTYLE_RUNS !== undefined;
const stride = whole ? 1 : 9;

interface Run {
  readonly name: string;
  /** Keys of tasks that were there before. */
  readonly known: ReadonlySet<string>;
  readonly where: string;
}

/** Whatever became of it, the task says; each machine is on one host, whole, and nothing else is anywhere. */
async function check(
  { daemon, here, there }: TwoHosts,
  center: TestCenter,
  { method, before, after }: Pick<Operation, 'method' | 'before' | 'after'>,
  { name, known, where }: Run,
): Promise<void> {
  const tasks = tasksOf(center, method).filter(({ key }) => !known.has(key));
  assert.ok(tasks.length <= 1, where);
  const done = tasks[0]?.state === 'success';
  const told = `${where}: ${tasks[0]?.state} ${tasks[0]?.error?.localizedMessage}`;
  const expected = (done ? after : before).map((ends) => ends.map((end) => name + end));
  for (const [index, host] of ['local', 'far'].entries()) {
    const machines = daemon(host)
      .machines()
      .map((ref) => String(daemon(host).read(ref, 'name')));
    assert.deepEqual(machines.filter((other) => `${other}-`.startsWith(`${name}-`)).sort(), expected[index], told);
    // Each machine has a folder, and there is no other.
    const folders = await readdir(index === 0 ? here.datastore : there.datastore);
    assert.deepEqual(folders.filter((one) => !one.startsWith('.')).sort(), machines.sort(), told);
  }
  const shown = [...center.center.core.inventory.all('VirtualMachine')].map((document) => document.name);
  assert.deepEqual(
    shown.sort(),
    center
      .all('VirtualMachine')
      .map((ref) => String(center.read(ref, 'name')))
      .sort(),
    told,
  );
  assert.deepEqual(center.defects, [], told);
}

/** Runs an operation on a center that dies at many of its writes in turn, until it lives through it. */
async function killedAtWrites(t: TestContext, { method, begin, before, after }: Operation): Promise<void> {
  const world = await twoHosts(t);
  const { network, disk, daemon } = world;
  let { center } = world;
  t.after(() => center.close());
  let tried = 0;
  for (let steps = whole ? 0 : 4; ; steps += stride) {
    const name = `m${steps}`;
    const where = `${method}, killed at write ${steps}`;
    await world.create(name, center);
    const known = new Set(tasksOf(center, method).map(({ key }) => key));
    center.store.stepsLeft = steps;
    const lived = await center.store.outlives(begin(world, center, name).then(() => {}));
    if (!lived) {
      center.kill();
      network.hangUp();
      await daemon('far').idle();
      center = await TestCenter.open(network, disk, 'local');
      await center.until(() => tasksOf(center, method).every(isOver));
    }
    await check(world, center, { method, before, after }, { name, known, where });
    if (lived) break;
    tried += 1;
    // What is there already is in nobody's way.
    for (const ref of center.all('VirtualMachine')) await center.task(ref as ManagedObjectReference, 'Destroy_Task');
  }
  assert.ok(tried > 0, 'it was killed at some write');
}

for (const operation of [clone, relocate])
  test(
    `${operation.method} between hosts: a center that is killed says truly what became of it, and nothing is left over`,
    {
      timeout: 600_000,
    },
    (t) => killedAtWrites(t, operation),
  );

/** Runs an operation while a host dies at many of its writes in turn, until it lives through it. */
async function hostKilledAtWrites(t: TestContext, victim: 'local' | 'far', operation: Operation): Promise<void> {
  const world = await twoHosts(t);
  const { network, center, daemon } = world;
  let tried = 0;
  for (let steps = whole ? 0 : 5; ; steps += whole ? 1 : 16) {
    const name = `m${steps}`;
    const where = `${operation.method}, the host ${victim} killed at write ${steps}`;
    await world.create(name);
    const known = new Set(tasksOf(center, operation.method).map(({ key }) => key));
    const { store } = daemon(victim);
    store.stepsLeft = steps;
    const ended = operation.begin(world, center, name).then(
      () => {},
      () => {},
    );
    const lived = await store.outlives(ended);
    if (!lived) await network.kill(victim);
    await ended;
    await center.until(() => center.all('HostSystem').every((host) => center.state(host) === 'connected'));
    await Promise.all([daemon('local').idle(), daemon('far').idle()]);
    await check(world, center, operation, { name, known, where });
    if (lived) break;
    tried += 1;
    for (const ref of center.all('VirtualMachine')) await center.task(ref as ManagedObjectReference, 'Destroy_Task');
  }
  assert.ok(tried > 0, 'it was killed at some write');
}

for (const operation of [clone, relocate])
  for (const victim of ['local', 'far'] as const)
    test(
      `${operation.method} between hosts: killed at the ${victim} one it goes on, or leaves all as it was`,
      {
        timeout: 600_000,
      },
      (t) => hostKilledAtWrites(t, victim, operation),
    );
