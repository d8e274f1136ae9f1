import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessGroup } from '@hypostyle/contracts';
import { ControlGroups } from './control-groups.ts';
import { FakeKernel } from './testing/fake-kernel.ts';

const mount = '/sys/fs/cgroup';
const memory = { reserved: 0, entitled: 0 };
const group = (path: string, more: Partial<ProcessGroup> = {}): ProcessGroup => ({
  path: path.split('/'),
  cpuWeight: 1,
  memory,
  diskWeight: 1,
  ...more,
});
const open = (files: FakeKernel) => new ControlGroups({ name: 'house', mount, files });

test('of version 2, groups are told their parts, limits and memory, and hold their processes', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/system.slice/house.service' });
  const groups = open(kernel);
  assert.deepEqual(await groups.probe(), { cpu: true, memory: true, disk: true });
  await groups.apply([
    group('pool1', { cpuWeight: 1, cpuLimit: 0.5, diskWeight: 4 }),
    group('pool1/vm-1', { pid: 101, memory: { reserved: 10, entitled: 20, limit: 30 } }),
    group('vm-2', { pid: 102, cpuWeight: 4, cpuLimit: 0.0001 }),
  ]);
  const root = `${mount}/system.slice/house`;
  assert.deepEqual(kernel.files(`${root}/pool1`), {
    'cpu.weight': '2500',
    'cpu.max': '50000 100000',
    'memory.min': '0',
    'memory.low': '0',
    'memory.high': 'max',
    'io.weight': '10000',
  });
  const inner = kernel.files(`${root}/pool1/vm-1`);
  // A limit of a group above is one of those in it too.
  assert.deepEqual(
    [inner['cpu.max'], inner['memory.min'], inner['memory.low'], inner['memory.high']],
    ['50000 100000', '10', '20', '30'],
  );
  assert.equal(kernel.files(`${root}/vm-2`)['cpu.max'], '1000 100000');
  assert.deepEqual(kernel.processes(), { 101: `${root}/pool1/vm-1`, 102: `${root}/vm-2` });
});

test('a process goes from group to group, and groups go once they are empty', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/' });
  const groups = open(kernel);
  await groups.probe();
  await groups.apply([group('pool1'), group('pool1/vm-1', { pid: 101 })]);
  await groups.apply([group('vm-1', { pid: 101 })]);
  assert.deepEqual(await kernel.groups(`${mount}/house`), ['vm-1']);
  // One whose process has not ended yet stays until it has.
  await groups.apply([]);
  assert.deepEqual(await kernel.groups(`${mount}/house`), ['vm-1']);
  kernel.end(101);
  await groups.apply([]);
  assert.deepEqual(await kernel.groups(mount), []);
  await groups.apply([group('vm-3', { pid: 103 })]);
  assert.deepEqual(kernel.processes(), { 103: `${mount}/house/vm-3` });
});

test('another process of the service finds the groups of the one before, and writes them again', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/' });
  const first = open(kernel);
  await first.probe();
  await first.apply([group('vm-1', { pid: 101, cpuLimit: 1 }), group('vm-2', { pid: 102 })]);
  const second = open(kernel);
  await second.probe();
  kernel.end(102);
  await second.apply([group('vm-1', { pid: 101, cpuLimit: 2 })]);
  assert.equal(kernel.files(`${mount}/house/vm-1`)['cpu.max'], '200000 100000');
  assert.deepEqual(await kernel.groups(`${mount}/house`), ['vm-1']);
});

test('what was told already is not told again', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/' });
  const groups = open(kernel);
  await groups.probe();
  const tree = [group('vm-1', { pid: 101 }), group('vm-2', { pid: 102 })];
  await groups.apply(tree);
  const writes = kernel.writes;
  await groups.apply(tree);
  assert.equal(kernel.writes, writes);
});

test('of version 1, processors are held beside what the service itself has, and limits change in any order', async () => {
  const kernel = new FakeKernel({ version: 1, own: '/box' });
  const groups = open(kernel);
  const { reason, ...info } = await groups.probe();
  assert.deepEqual(info, { cpu: true, memory: false, disk: false });
  assert.match(reason ?? '', /version 1/);
  const root = `${mount}/cpu/box/house`;
  const tree = (pool: number | undefined, machine: number) => [
    group('pool1', pool === undefined ? {} : { cpuLimit: pool }),
    group('pool1/vm-1', { pid: 101, cpuLimit: machine, cpuWeight: 3 }),
    group('pool1/vm-2', { pid: 102 }),
  ];
  for (const [pool, machine, quota] of [
    [1, 0.5, '50000'],
    [0.2, 0.5, '20000'],
    [2, 1.5, '150000'],
    [undefined, 4, '400000'],
    [0.1, 4, '10000'],
  ] as const) {
    await groups.apply(tree(pool, machine));
    const { 'cpu.cfs_quota_us': told, 'cpu.shares': shares } = kernel.files(`${root}/pool1/vm-1`);
    assert.deepEqual([told, shares], [quota, '10000']);
    assert.equal(kernel.files(`${root}/pool1/vm-2`)['cpu.shares'], '3333');
  }
});

test('without control groups, or where they cannot be written, it says so and does nothing', async () => {
  for (const kernel of [
    new FakeKernel({ version: 1, own: '/', mounted: false }),
    new FakeKernel({ version: 2, own: '/', writable: false }),
    new FakeKernel({ version: 1, own: '/', writable: false }),
  ]) {
    const groups = open(kernel);
    const { reason, ...info } = await groups.probe();
    assert.deepEqual(info, { cpu: false, memory: false, disk: false });
    assert.notEqual(reason ?? '', '');
    await groups.apply([group('vm-1', { pid: 101 })]);
    assert.equal(kernel.writes, 0);
  }
});

test('a group that cannot be made does not keep the others from theirs, and is told', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/' });
  const groups = open(kernel);
  await groups.probe();
  kernel.broken = `${mount}/house/vm-1/cpu.max`;
  const tree = [group('vm-1', { pid: 101, cpuLimit: 1 }), group('vm-2', { pid: 102, cpuLimit: 1 })];
  await assert.rejects(groups.apply(tree), /EIO/);
  assert.equal(kernel.files(`${mount}/house/vm-2`)['cpu.max'], '100000 100000');
  assert.equal(Object.keys(kernel.processes()).length, 2);
  kernel.broken = undefined;
  await groups.apply(tree);
  assert.equal(kernel.files(`${mount}/house/vm-1`)['cpu.max'], '100000 100000');
});

test('a process that ended before it was placed is no error, and the first process of the machine is left alone', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/' });
  const groups = open(kernel);
  await groups.probe();
  kernel.end(101);
  await groups.apply([group('vm-1', { pid: 101 }), group('vm-2', { pid: 1 })]);
  assert.deepEqual(kernel.processes(), {});
});

test('a group that somebody removed is made again with the next change', async () => {
  const kernel = new FakeKernel({ version: 2, own: '/' });
  const groups = open(kernel);
  await groups.probe();
  await groups.apply([group('vm-1', { cpuLimit: 1 })]);
  await kernel.remove(`${mount}/house/vm-1`);
  await groups.apply([group('vm-1', { cpuLimit: 0.5, cpuWeight: 2 })]);
  assert.equal(kernel.files(`${mount}/house/vm-1`)['cpu.max'], '50000 100000');
  assert.equal(kernel.files(`${mount}/house/vm-1`)['cpu.weight'], '10000');
});
