import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MachineUsage, RunningMachine } from '@hypostyle/contracts';
import type { HostCore } from '../../host-core.ts';
import { MachineWatch } from './machine-watch.ts';

test('an engine that hangs is spoken of once, and so is that it answers again', async () => {
  const said: string[] = [];
  const machine = { configuration: { name: 'web', memoryMiB: 64 }, ref: { type: 'VirtualMachine', value: '1' } };
  const core = {
    machines: { find: () => machine, change: () => {} },
    registry: { commit: (change: (draft: object) => void) => change({}) },
    events: { post: (_draft: undefined, { members }: { members: { message: string } }) => said.push(members.message) },
    hostMHz: 1000,
    onDefect: (where: string, error: unknown) => assert.fail(`${where}: ${error}`),
  };
  const usage: MachineUsage = { cpuMilliseconds: 1, residentBytes: 1, balloonBytes: 0, disks: [], nics: [] };
  let answers: 'usage' | 'nothing' | 'no' = 'usage';
  const engine = {
    startedAt: 0,
    state: 'running',
    subscribe: () => () => {},
    guestFacts: async () => undefined,
    usage: async () => {
      if (answers === 'nothing') await new Promise(() => {});
      if (answers === 'no') throw new Error('it is gone');
      return usage;
    },
  };
  let now = 0;
  const watch = new MachineWatch(core as unknown as HostCore, {
    clock: { now: () => now, after: () => () => {} },
    usagePatience: 2,
  });
  watch.follow('1', engine as unknown as RunningMachine);
  const look = async () => {
    const { size } = await watch.measureAll();
    now += 20_000;
    return size;
  };
  assert.equal(await look(), 1);
  answers = 'nothing';
  for (let number = 0; number < 3; number += 1) assert.equal(await look(), 0);
  answers = 'no';
  await look();
  assert.deepEqual(said, [], 'one that refuses answers');
  answers = 'nothing';
  for (let number = 0; number < 6; number += 1) await look();
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /'web' has not answered for a minute.*TerminateVM/);
  answers = 'usage';
  assert.equal(await look(), 1);
  await look();
  assert.deepEqual(said.slice(1), ["The engine of 'web' answers again."]);
  watch.close();
});
