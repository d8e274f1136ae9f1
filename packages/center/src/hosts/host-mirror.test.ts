import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';
import type { ObjectChange } from './object-updates.ts';

test('a machine that leaves in the same update in which another comes is gone', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('old'));
  const center = await TestCenter.open(network, undefined, 'local');
  const link = center.center.core.hosts.link(center.named('HostSystem', 'local').value);
  const [old] = daemon.machines();
  const config = { _typeName: 'VirtualMachineConfigInfo', instanceUuid: '502e9d11-44f0-a1c3-91b2-5d7700000001' };
  const changes: ObjectChange[] = [
    { kind: 'leave', ref: old!, values: {} },
    { kind: 'enter', ref: { type: 'VirtualMachine', value: 'next' }, values: { name: 'new', config } },
  ];
  await link?.mirror.enter(changes);
  await link?.mirror.leave(changes);
  assert.deepEqual(
    center.all('VirtualMachine').map((ref) => center.read(ref, 'name')),
    ['new'],
  );
  await center.close();
  await network.remove();
});
