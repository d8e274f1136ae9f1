import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { fakeMemoryLimit } from '../testing/fake-limits.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { FakeProcessGroups } from './testing/fake-process-groups.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

const allocation = (members: object) => ({ _typeName: 'ResourceAllocationInfo', ...members });
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: VimFault) => error.type,
  );
const create = (daemon: Daemon, name: string, more: object = {}) =>
  daemon.task(vmFolder, 'CreateVM_Task', {
    ...smallMachine(name),
    config: { ...(smallMachine(name) as { readonly config: object }).config, ...more },
  }) as Promise<Machine>;

async function warnings(daemon: Daemon): Promise<string[]> {
  const eventManager = { type: 'EventManager', value: 'ha-eventmgr' };
  const events = (await daemon.call(eventManager, 'QueryEvents', { filter: {} })) as {
    readonly _typeName: string;
    readonly message?: string;
  }[];
  return events.flatMap(({ _typeName, message = '' }) => (_typeName === 'GeneralVmWarningEvent' ? [message] : []));
}

async function onComputer(work: (computer: Computer) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    await work(computer);
    assert.deepEqual(computer.defects, []);
  } finally {
    await computer.remove();
  }
}

test('machines are held to what they are granted from their start on, while they run, and after a restart', async () => {
  await onComputer(async (computer) => {
    const groups = new FakeProcessGroups();
    computer.processGroups = () => groups;
    const daemon = await computer.start();
    const config = { numCPUs: 2, memoryMB: 1024n, memoryAllocation: allocation({ limit: 512n }) };
    const web = await create(daemon, 'web', config);
    const pool = (await daemon.call(references.rootPool, 'CreateResourcePool', {
      name: 'pool',
      spec: {
        cpuAllocation: allocation({ reservation: 0n, limit: 600n, expandableReservation: true }),
        memoryAllocation: allocation({ reservation: 0n, limit: -1n, expandableReservation: true }),
      },
    })) as ManagedObjectReference<'ResourcePool'>;
    await daemon.task(web, 'PowerOnVM_Task');
    assert.deepEqual(groups.paths(), [`vm-${web.value}`]);
    const [engine] = [...computer.engines.engines.values()];
    assert.ok(engine);
    await groups.until(() => fakeMemoryLimit(engine) === 512);

    await daemon.call(pool, 'MoveIntoResourcePool', { list: [web] });
    await groups.until(() => groups.paths().join() === `${pool.value},${pool.value}/vm-${web.value}`);
    await daemon.task(web, 'ReconfigVM_Task', {
      spec: { cpuAllocation: allocation({ limit: 500n }), memoryAllocation: allocation({ limit: -1n }) },
    });
    await groups.until(() => groups.limit(`vm-${web.value}`) !== undefined);
    await groups.until(() => fakeMemoryLimit(engine) === undefined);
    await daemon.host.close();

    const other = new FakeProcessGroups();
    computer.processGroups = () => other;
    const again = await computer.start();
    await other.until(() => other.limit(`vm-${web.value}`) !== undefined);
    assert.equal(other.limit(`vm-${web.value}`), groups.limit(`vm-${web.value}`));
    await again.task(web, 'PowerOffVM_Task');
    await other.until(() => other.paths().length === 0);
    assert.deepEqual(await warnings(again), []);
    await again.host.close();
  });
});

test('groups that a process left which was killed with its machines go at the next start, with machines or without', () =>
  onComputer(async (computer) => {
    const memory = { reserved: 0, entitled: 0 };
    const left = { path: ['vm-1'], cpuWeight: 1, memory, diskWeight: 1 };
    let groups = new FakeProcessGroups();
    computer.processGroups = () => groups;
    await groups.apply([left]);
    let daemon = await computer.start();
    await groups.until(() => groups.paths().length === 0);
    const web = await create(daemon, 'web');
    await daemon.task(web, 'PowerOnVM_Task');
    await groups.until(() => groups.paths().length === 1);
    daemon.die();
    for (const lock of [...computer.engines.engines.keys()]) computer.engines.end(lock, 'crashed');
    groups = new FakeProcessGroups();
    await groups.apply([left]);
    daemon = await computer.start();
    await groups.until(() => groups.paths().length === 0);
    await daemon.host.close();
  }));

test('where nothing is held, machines start all the same, and an event says what is not enforced', async () => {
  await onComputer(async (computer) => {
    const daemon = await computer.start();
    const web = await create(daemon, 'web', { cpuAllocation: allocation({ limit: 500n }) });
    await daemon.task(web, 'PowerOnVM_Task');
    assert.match((await warnings(daemon)).join(), /limit of 500 MHz is kept and not enforced/);
    await daemon.task(web, 'ReconfigVM_Task', { spec: { cpuAllocation: allocation({ limit: 400n }) } });
    assert.match((await warnings(daemon)).join(), /limit of 400 MHz is kept and not enforced/);
    await daemon.host.close();
  });
});

test('groups that fail stop no machine, and are told', async () => {
  const computer = await Computer.make();
  try {
    const groups = new FakeProcessGroups();
    computer.processGroups = () => groups;
    groups.failure = new Error('no space left in the kernel');
    const daemon = await computer.start();
    const web = await create(daemon, 'web', { cpuAllocation: allocation({ limit: 500n }) });
    await daemon.task(web, 'PowerOnVM_Task');
    assert.match((await warnings(daemon)).join(), /not enforced on this host\. no space left in the kernel/);
    assert.equal(computer.defects.length, 1);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('more than the host has is not reserved: not at a start, not while it runs', async () => {
  await onComputer(async (computer) => {
    const daemon = await computer.start();
    const usage = daemon.host.registry.read(references.rootPool, 'runtime');
    const left = { cpu: Number(usage?.cpu.unreservedForVm), memory: Number(usage?.memory.unreservedForVm) / 2 ** 20 };
    const half = BigInt(Math.ceil(left.cpu / 2) + 1);
    const one = await create(daemon, 'one', { cpuAllocation: allocation({ reservation: half }) });
    const two = await create(daemon, 'two', { cpuAllocation: allocation({ reservation: half }) });
    const huge = await create(daemon, 'huge', {
      memoryAllocation: allocation({ reservation: BigInt(Math.ceil(left.memory) + 1) }),
    });
    assert.equal(await faultOf(daemon.task(huge, 'PowerOnVM_Task')), 'InsufficientMemoryResourcesFault');
    // Both at once: one of them is too much.
    const starts = await Promise.all([one, two].map((ref) => faultOf(daemon.task(ref, 'PowerOnVM_Task'))));
    assert.deepEqual(starts.toSorted(), ['InsufficientCpuResourcesFault', 'none']);
    const running = starts[0] === 'none' ? one : two;
    const more = (reservation: bigint) => ({ spec: { cpuAllocation: allocation({ reservation }) } });
    assert.equal(
      await faultOf(daemon.task(running, 'ReconfigVM_Task', more(half * 3n))),
      'InsufficientCpuResourcesFault',
    );
    assert.equal(await faultOf(daemon.task(running, 'ReconfigVM_Task', more(half - 2n))), 'none');
    await daemon.host.close();
  });
});
