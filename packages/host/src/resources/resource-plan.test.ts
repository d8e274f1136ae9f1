import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newConfiguration } from '../configuration/apply-spec.ts';
import type { Allocation, MachineConfiguration } from '../configuration/machine-configuration.ts';
import { type PlannedPool, resourcePlan } from './resource-plan.ts';

const plain = { reservation: 0, limit: -1, level: 'normal', shares: 1000 } as const;
const machine = (id: string, pool: string, more: Partial<MachineConfiguration> = {}) => ({
  id,
  pool,
  pid: 1000,
  configuration: { ...newConfiguration(id), cpus: 4, memoryMiB: 1024, ...more },
});
const pool = (
  id: string,
  parent: string,
  cpu: Partial<Allocation> = {},
  memory: Partial<Allocation> = {},
): PlannedPool => ({
  id,
  parent,
  cpu: { ...plain, ...cpu },
  memory: { ...plain, ...memory },
});
const base = { rootPool: 'root', hostMHz: 1000, host: { cpuMHz: 4000, memoryMiB: 4096 } };

test('machines lie in the groups of their pools, and pools in which nothing runs have none', () => {
  const plan = resourcePlan({
    ...base,
    pools: [pool('a', 'root', { limit: 1500 }), pool('b', 'a'), pool('empty', 'root')],
    machines: [machine('1', 'b'), machine('2', 'root'), machine('3', 'gone')],
  });
  assert.deepEqual(
    plan.map(({ path, cpuLimit, pid }) => [path.join('/'), cpuLimit, pid]),
    [
      ['a', 1.5, undefined],
      ['a/b', undefined, undefined],
      ['a/b/vm-1', undefined, 1000],
      ['vm-2', undefined, 1000],
      ['vm-3', undefined, 1000],
    ],
  );
});

test('what a reservation promises weighs more than shares, and memory goes with what the engine needs', () => {
  const plan = resourcePlan({
    ...base,
    pools: [],
    machines: [
      machine('1', 'root', { cpuAllocation: { ...plain, reservation: 3000 } }),
      machine('2', 'root', { memoryAllocation: { ...plain, reservation: 256, limit: 512, shares: 10_240 } }),
    ],
  });
  const [one, two] = plan;
  assert.equal(Math.round((one?.cpuWeight ?? 0) / (two?.cpuWeight ?? 1)), 3);
  assert.equal(two?.memory.reserved, 256 << 20);
  const limit = two?.memory.limit ?? 0;
  assert.ok(limit > 512 * 2 ** 20 && limit < 1024 * 2 ** 20, `${limit}`);
  assert.equal(Math.round((two?.memory.entitled ?? 0) / 2 ** 20), 512);
});

test('what machines reserve of memory is reserved by the pools that they are in', () => {
  const plan = resourcePlan({
    ...base,
    pools: [pool('a', 'root'), pool('b', 'a', {}, { reservation: 100 })],
    machines: [
      machine('1', 'b', { memoryAllocation: { ...plain, reservation: 300 } }),
      machine('2', 'a', { memoryAllocation: { ...plain, reservation: 200 } }),
    ],
  });
  const reserved = Object.fromEntries(plan.map(({ path, memory }) => [path.at(-1), memory.reserved / 2 ** 20]));
  assert.deepEqual(reserved, { a: 500, b: 300, 'vm-1': 300, 'vm-2': 200 });
});
