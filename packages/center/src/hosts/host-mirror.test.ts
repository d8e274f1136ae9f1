import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Daemon, smallMachine, vmFolder } from '@hypostyle/host/testing';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

test('machines that come and go at once come and go at the center', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const create = (name: string) => daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name));
  await Promise.all(Array.from({ length: 6 }, (_, number) => create(`old-${number}`)));
  const center = await TestCenter.open(network, undefined, 'local');
  const goes = (name: string) => daemon.task(daemon.machine(name)!, 'Destroy_Task');
  await Promise.all(Array.from({ length: 6 }, (_, number) => [create(`new-${number}`), goes(`old-${number}`)]).flat());
  await center.center.core.hosts.link(center.named('HostSystem', 'local').value)?.caughtUp();
  assert.deepEqual(namesAt(center), namesOn(daemon));
  assert.deepEqual(center.defects, []);
  await center.close();
  await network.remove();
});

function namesOn(daemon: Daemon): unknown[] {
  return daemon
    .machines()
    .map((ref) => daemon.read(ref, 'name'))
    .sort();
}

function namesAt(center: TestCenter): unknown[] {
  return center
    .all('VirtualMachine')
    .map((ref) => center.read(ref, 'name'))
    .sort();
}
